"""The command line (PRODUCT.md section 7.1). It talks HTTP to the API; processes are started by up, worker and serve.

Exit status: 0 done, 1 refused, 2 wrong usage, 3 the service cannot be reached, 4 accepted but not settled in time.
The HTTP client and what runs processes are imported by the commands that need them: the program starts at once.
"""

import typer

from starter.cli import clients, processes, sites, systems

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="The client lifecycle service of a serviced-office operator. CONNECT_URL and CONNECT_TOKEN say where the "
    "service is and who you are; the default is http://127.0.0.1:8000 and the token of the data folder here.",
)
app.command(short_help="Every client that waits for a person.")(systems.attention)
app.add_typer(processes.app)
app.add_typer(clients.app, name="client")
app.add_typer(sites.app, name="site")
app.add_typer(systems.app, name="systems")
systems.app.command()(processes.prepare)
systems.app.command()(processes.adopt)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
