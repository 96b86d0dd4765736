"""The processes of a deployment: `up`, `worker`, `serve`, `migrate`, and `systems prepare`.

The one module of the command line that may import what they run, inside the command that needs it.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from activities.settings import Settings

app = typer.Typer()


@app.command(short_help="Postgres, Temporal, a worker and the API in one terminal.")
def up(
    data: Annotated[Path, typer.Option(metavar="DIR", help="The folder that keeps everything")] = Path(".connect"),
    port: Annotated[int, typer.Option(metavar="PORT", help="The API's port")] = 8000,
    temporal_port: Annotated[int, typer.Option(metavar="PORT", help="Temporal's port")] = 7233,
    ui_port: Annotated[int, typer.Option(metavar="PORT", help="The port of Temporal's UI")] = 8233,
    systems: Annotated[bool, typer.Option("--systems", help="FreeRADIUS and Kamailio too, if installed")] = False,
    sip_port: Annotated[int, typer.Option(metavar="PORT", help="Kamailio's port, UDP")] = 5060,
    radius_port: Annotated[int, typer.Option(metavar="PORT", help="FreeRADIUS's port, UDP; the next one too")] = 1812,
    demo: Annotated[bool, typer.Option("--demo", help="Add a site with a dozen clients in every state")] = False,
) -> None:
    """Everything in one terminal: Postgres, Temporal with its UI, a worker and the API. Ctrl-C stops it.

    For a machine whose users you trust: Temporal's development server asks none of them for a password.
    """
    from starter.local.up import UpOptions
    from starter.local.up import up as run

    leave(run(UpOptions(data, port, temporal_port, ui_port, systems, sip_port, radius_port, demo)))


@app.command(short_help="Run one worker, for real deployments.")
def worker(
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Start none: say what cannot be served, and leave with 0 when Temporal has heard of a worker here and "
            "the directory takes a write",
        ),
    ] = False,
) -> None:
    """Run one worker, for real deployments (the same as python worker.py)."""
    if check:
        leave(_check_worker())
    import worker as process

    leave(process.main())


def _check_worker() -> int:
    import asyncio
    import socket

    from pydantic import ValidationError

    from activities.adapters import problems_of
    from activities.prepare import why_not_written
    from activities.settings import Settings
    from starter.temporal.connection import why_not_heard_of

    found = [asyncio.run(why_not_heard_of(socket.gethostname()))]
    with suppress(ValidationError):  # then no worker starts, and says why
        settings = Settings()
        for problem in asyncio.run(problems_of(settings)):
            complain("worker --check", problem)
        found.append(asyncio.run(why_not_written(settings)))
    found = list(filter(None, found))
    for why in found:
        complain("worker", why)
    return int(bool(found))


@app.command()
def serve() -> None:
    """Run one API process, for real deployments."""
    from activities.log import set_up
    from starter.serve import main as run

    with process("serve", OSError, ValueError) as settings:
        set_up(json=settings.json_logs)
        try:
            run(settings)
        except SystemExit:  # uvicorn has logged why: a port that is taken
            leave(1)
    leave(0)


@app.command()
def migrate() -> None:
    """Bring Connect's own database to the newest schema."""
    import asyncio

    from activities.database import DRIVER_ERRORS
    from activities.directory.migrations import migrate as run

    with process("migrate", *DRIVER_ERRORS) as settings:
        asyncio.run(run(settings.directory_dsn.get_secret_value()))
    typer.echo("The directory has the newest schema.")


def prepare(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing: say what is wrong, with status 1, and who is there already")
    ] = False,
) -> None:
    """Add to every Kamailio's and FreeRADIUS's database what Connect needs there, and nothing else."""
    import asyncio

    from activities.adopting.survey import survey
    from activities.prepare import NotPrepared
    from activities.prepare import check as problems_of
    from activities.prepare import prepare as run

    with process("systems prepare", NotPrepared, ValueError) as settings:
        done = asyncio.run(problems_of(settings) if check else run(settings))
        reports = asyncio.run(survey(settings)) if check else []
    typer.echo("\n".join(done) or "Every system has what Connect needs.")
    for line in (line for report in reports for line in report.lines):
        typer.echo(line)
    if check and (done or any(report.problems for report in reports)):
        leave(1)


def adopt(
    clients: Annotated[
        list[str] | None, typer.Argument(metavar="[CLIENT]…", help="Clients whose lines and account are there already")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Or a list, client_id,name a line: a number with + or an account")
    ] = None,
    telephony: Annotated[
        str, typer.Option(metavar="NAME", help="The phone system of the numbers in the file")
    ] = "main",
    internet: Annotated[str, typer.Option(metavar="NAME", help="The network of the accounts in the file")] = "main",
    check: Annotated[bool, typer.Option("--check", help="Change nothing: say what would become of each")] = False,
) -> None:
    """Take on lines and accounts that phone systems and networks have from before: they keep their secrets."""
    import asyncio

    from activities.adopting import adopt as adopting
    from activities.adopting import belongings
    from activities.database import open_databases

    async def run(settings: "Settings") -> list[belongings.Taken]:
        async with open_databases(settings) as databases:
            databases.instances.check_environment()
            wanted = belongings.read_file(file, telephony, internet) if file else []
            wanted += await belongings.of_clients(databases.directory, clients) if clients else []
            return await adopting.adopt(databases, wanted, dry=check)

    if not (clients or file):
        raise typer.BadParameter("name clients, or a --file with a list", param_hint="CLIENT")
    with process("systems adopt", ValueError) as settings:
        taken = asyncio.run(run(settings))
    for it in taken:
        found = f": {it.found}" if it.found else ""
        typer.echo(f"{it.belonging.client_id}\t{it.belonging.name}\t{it.word}{found}")
    counts = Counter(it.word for it in taken)
    would = ", if it were done; nothing was changed" if check else ""
    typer.echo(", ".join(f"{count} {word}" for word, count in sorted(counts.items())) + would, err=True)
    leave(int(adopting.refused(taken) > 0))


@contextmanager
def process(command: str, *errors: type[Exception]) -> Iterator["Settings"]:
    """The settings of a process. It ends with a message when they are missing or wrong, or with one of these errors."""
    from pydantic import ValidationError

    from activities.settings import Settings

    try:
        settings = Settings()
    except ValidationError as invalid:  # their values are not shown
        for wrong in invalid.errors(include_url=False, include_input=False):
            name = "_".join(["CONNECT", *map(str, wrong["loc"])]).upper()
            complain(command, f"{name}: {wrong['msg']}")
        leave(1)
    try:
        yield settings
    except errors as error:
        complain(command, error)
        leave(1)


def complain(command: str, error: object) -> None:
    typer.echo(f"connect {command}: {error}", err=True)


def leave(status: int) -> NoReturn:
    """End this process at once: the Temporal SDK's threads can crash an interpreter that is shutting down."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
