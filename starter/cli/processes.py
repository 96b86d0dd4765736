"""The processes of a deployment: `up`, `worker`, `serve`, `migrate`, and `systems prepare`.

The one module of the command line that may import what they run, inside the command that needs it.
"""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from starter.cli import streams
from starter.cli.options import Json
from starter.cli.show.tables import output
from starter.cli.values import port_number

if TYPE_CHECKING:
    from activities.settings import Settings

app = typer.Typer()


def port(of: str) -> Any:
    """An option that takes a port."""
    return typer.Option(metavar="PORT", parser=port_number, help=of)


@app.command(short_help="Postgres, Temporal, a worker and the API in one terminal.")
def up(
    data: Annotated[Path, typer.Option(metavar="DIR", help="The folder that keeps everything")] = Path(".connect"),
    port: Annotated[Any, port("The API's port")] = 8000,
    temporal_port: Annotated[Any, port("Temporal's port")] = 7233,
    ui_port: Annotated[Any, port("The port of Temporal's UI")] = 8233,
    systems: Annotated[bool, typer.Option("--systems", help="FreeRADIUS and Kamailio too, if installed")] = False,
    sip_port: Annotated[Any, port("Kamailio's port, UDP")] = 5060,
    radius_port: Annotated[Any, port("FreeRADIUS's port, UDP; the next one too")] = 1812,
    demo: Annotated[bool, typer.Option("--demo", help="Add a site with a dozen clients in every state")] = False,
) -> None:
    """Everything in one terminal: Postgres, Temporal with its UI, a worker and the API. Ctrl-C stops it.

    For a machine whose users you trust: Temporal's development server asks none of them for a password.

    \b
    Examples:
      connect up
      connect up --demo
      connect up --port 8001 --temporal-port 7234 --ui-port 8234
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
    """Run one worker, for real deployments (the same as python worker.py).

    \b
    Examples:
      connect worker
      connect worker --check
    """
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
    from starter.temporal.connection import why_no_worker

    found = [asyncio.run(why_no_worker(socket.gethostname()))]
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
    """Run one API process, for real deployments.

    \b
    Examples:
      connect serve
    """
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
def migrate(as_json: Json = False) -> None:
    """Bring Connect's own database, and that of clients' keys, to the newest schema.

    \b
    Examples:
      connect migrate
    """
    import asyncio

    from activities.database import DRIVER_ERRORS
    from activities.directory.migrations import migrate as run
    from activities.directory.migrations import migrate_keys

    with process("migrate", *DRIVER_ERRORS) as settings:
        asyncio.run(run(settings.directory_dsn.get_secret_value()))
        if keys := settings.keys_dsn.get_secret_value():
            asyncio.run(migrate_keys(keys))
    output(as_json, {"schema": "newest"}, lambda _: typer.echo("The directory has the newest schema."))


def prepare(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing: say what is wrong, with status 1, and who is there already")
    ] = False,
    as_json: Json = False,
) -> None:
    """Add to every Kamailio's and FreeRADIUS's database what Connect needs there, and nothing else.

    \b
    Examples:
      connect systems prepare --check
      connect systems prepare
    """
    import asyncio

    from activities.adopting.survey import survey
    from activities.prepare import NotPrepared
    from activities.prepare import check as problems_of
    from activities.prepare import prepare as run

    with process("systems prepare", NotPrepared, ValueError) as settings:
        result = asyncio.run(problems_of(settings) if check else run(settings))
        reports = asyncio.run(survey(settings)) if check else []
    found = [line for report in reports for line in report.lines]
    answer = {"wrong" if check else "done": result, "found": found}
    report = [*(result or ["Every system has what Connect needs."]), *found]
    output(as_json, answer, lambda _: typer.echo("\n".join(report)))
    if check and (result or any(report.problems for report in reports)):
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
    as_json: Json = False,
) -> None:
    """Take on lines and accounts that phone systems and networks have from before: they keep their secrets.

    \b
    Examples:
      connect systems adopt acme --check
      connect systems adopt --file list.csv
    """
    import asyncio

    from activities.adopting import adopt as adopting
    from activities.adopting import belongings
    from activities.database import open_databases

    async def run(settings: "Settings") -> list[belongings.Adoption]:
        async with open_databases(settings) as databases:
            databases.instances.check_environment()
            to_adopt = belongings.read_file(file, telephony, internet) if file else []
            to_adopt += await belongings.of_clients(databases.directory, clients) if clients else []
            return await adopting.adopt(databases, to_adopt, dry=check)

    if not (clients or file):
        raise typer.BadParameter("name clients, or a --file with a list", param_hint="CLIENT")
    with process("systems adopt", ValueError) as settings:
        adoptions = asyncio.run(run(settings))
    rows = [
        {"client_id": it.belonging.client_id, "name": it.belonging.name, "outcome": it.word, "found": it.found}
        for it in adoptions
    ]

    def show(_: object) -> None:
        for row in rows:
            found = f": {row['found']}" if row["found"] else ""
            typer.echo(f"{row['client_id']}\t{row['name']}\t{row['outcome']}{found}")

    output(as_json, {"items": rows}, show)
    counts = Counter(it.word for it in adoptions)
    would = ", if it were done; nothing was changed" if check else ""
    typer.echo(", ".join(f"{count} {word}" for word, count in sorted(counts.items())) + would, err=True)
    leave(int(adopting.count_refused(adoptions) > 0))


def check_keys(as_json: Json = False) -> None:
    """Say whether the operator's keys that are set here open the keys of all clients.

    \b
    Examples:
      connect keys check
    """
    _with_keys("keys check", as_json, rotate=False)


def rotate_keys(as_json: Json = False) -> None:
    """Bring the keys of all clients under the first of the operator's keys. The older ones are not needed afterwards.

    \b
    Examples:
      connect keys rotate
    """
    _with_keys("keys rotate", as_json, rotate=True)


def _with_keys(command: str, as_json: bool, *, rotate: bool) -> None:
    import asyncio

    from activities.database import Database
    from activities.keys.client_keys import KeysAway, keys_in_use
    from activities.keys.encryption import OFF, Encryption

    async def run(settings: "Settings") -> dict[str, Any]:
        async with (
            Database("directory", settings.directory_dsn.get_secret_value(), settings) as directory,
            Encryption.of(settings, directory) as encryption,
        ):
            problems = await encryption.check()
            if encryption.keys is None:
                raise ValueError(OFF)
            count = await encryption.keys.rewrap() if rotate else 0
            first, used = encryption.keys.operator.first, await keys_in_use(encryption.database)
            return {"key": first, "used": used, "rotated": count, "problems": [] if rotate else problems}

    with process(command, KeysAway, OSError, ValueError) as settings:
        answer = asyncio.run(run(settings))

    def show(_: object) -> None:
        for key, count in answer["used"].items():
            now = " (used from now on)" if key == answer["key"] else ""
            typer.echo(f"Key {key}{now} opens the keys of {count} clients.")
        for line in (*([f"{answer['rotated']} were rotated."] if rotate else []), *answer["problems"]):
            typer.echo(line)

    output(as_json, answer, show)


@contextmanager
def process(command: str, *errors: type[Exception]) -> Iterator["Settings"]:
    """The settings of a process. It ends with a message when they are missing or wrong, or with one of these errors."""
    from pydantic import ValidationError

    from activities.settings import Settings
    from workflows.wire.grammar import sentence

    try:
        settings = Settings()
    except ValidationError as invalid:  # their values are not shown
        for wrong in invalid.errors(include_url=False, include_input=False):
            name = "_".join(["CONNECT", *map(str, wrong["loc"])]).upper()
            words = sentence(name, wrong)
            complain(command, words.removeprefix(f"{name} ") if f"{name} CONNECT_" in words else words)
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
    streams.finish()
    os._exit(status)
