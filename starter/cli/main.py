"""The command line (PRODUCT.md section 7.1). It talks HTTP to the API; processes are started by up, worker and serve.

Exit status: 0 done, 1 refused, 2 wrong usage, 3 the service cannot be reached, 4 accepted but not settled in time,
130 interrupted. Nothing that happens while something is printed changes it.
The HTTP client and what runs processes are imported by the commands that need them: the program starts at once.
"""

import os
import sys
from typing import Annotated, NoReturn

import typer

from starter.cli import clients, events, labels, matters, processes, sites, streams, systems, tokens, webhooks
from starter.cli.http import progress
from starter.cli.options import on

INTERRUPTED = 130
USAGE = "Usage: connect [OPTIONS] COMMAND [ARGS]...\nTry 'connect --help' for help.\n\nError: {}"

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="The client lifecycle service of a serviced-office operator. CONNECT_URL and CONNECT_TOKEN say where the "
    "service is and who you are; the default is what the data folder here (.connect) says of the service that runs on "
    "it.\n\n"
    "Exit status: 0 done; 1 refused, with the reason; 2 wrong usage; 3 the service cannot be reached; 4 accepted, but "
    "not settled in time; 130 interrupted.",
)


def _version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        typer.echo(f"connect {version('connect')}")
        raise typer.Exit


@app.callback()
def connect(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave")
    ] = False,
) -> None: ...


on(app, short_help="Every client that waits for a person.")(systems.attention)
on(app, short_help="Every open matter: what a person should see to.")(matters.matters)
on(app, short_help="What happened to clients, in order.")(events.events)
clients.app.add_typer(matters.app)
app.add_typer(processes.app)
clients.app.add_typer(labels.app)
app.add_typer(clients.app, name="client")
app.add_typer(sites.app, name="site")
app.add_typer(tokens.app, name="token")
app.add_typer(webhooks.app, name="webhook")
app.add_typer(systems.app, name="systems")
systems.app.command(short_help="Add what Connect needs to the systems' databases.")(processes.prepare)
systems.app.command(short_help="Take on lines and accounts from before.")(processes.adopt)
keys = typer.Typer(short_help="The keys that clients' payloads are encrypted under.")
keys.command("check", short_help="Whether the keys set here open all clients.")(processes.check_keys)
keys.command("rotate", short_help="Bring all clients under the newest key.")(processes.rotate_keys)
app.add_typer(keys, name="keys")


def main() -> NoReturn:
    """Run this process's command line. Never returns."""
    streams.take()
    try:
        app(_words(sys.argv[1:]), prog_name="connect")
    except SystemExit as end:
        if end.code == INTERRUPTED:
            typer.echo(progress.at_interrupt(), err=True)
        raise
    except KeyboardInterrupt:  # while the program starts or ends
        sys.exit(INTERRUPTED)
    finally:
        streams.finish()
    sys.exit(0)


def _words(words: list[str]) -> list[str]:
    """The arguments as text, also where the locale is not theirs. What is not UTF-8 is wrong usage."""
    texts = []
    for word in words:
        raw = os.fsencode(word) if _has_raw_bytes(word) else word.encode()
        try:
            texts.append(raw.decode())
        except UnicodeDecodeError:
            text = raw.decode(errors="backslashreplace")
            typer.echo(USAGE.format(f"'{text}' is not UTF-8: set the terminal to UTF-8, and type it anew"), err=True)
            sys.exit(2)
    return texts


def _has_raw_bytes(word: str) -> bool:
    """Whether it holds bytes that the locale's encoding could not read (PEP 383)."""
    return any("\udc80" <= character <= "\udcff" for character in word)


if __name__ == "__main__":
    main()
