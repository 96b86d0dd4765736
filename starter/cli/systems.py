"""``connect systems`` and ``connect attention``: how the systems are, and which clients wait for a person."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from starter.cli.http import Service
from starter.cli.options import Json
from starter.cli.show import systems as show
from starter.cli.show.tables import output

app = typer.Typer(help="The systems that Connect switches: how each is, and how many clients wait for it.")


@app.callback(invoke_without_command=True)
def systems(context: typer.Context, as_json: Json = False) -> None:
    """The systems that Connect switches: how each is, and how many clients wait for it."""
    if context.invoked_subcommand is None:
        output(as_json, Service(as_json).get("systems"), lambda page: show.systems(page["items"], datetime.now(UTC)))


def attention(
    site: Annotated[str | None, typer.Option(metavar="ID")] = None,
    system: Annotated[str | None, typer.Option(metavar="SYSTEM")] = None,
    skipped: Annotated[bool, typer.Option("--skipped", help="Show also what a person has accepted as it is")] = False,
    as_json: Json = False,
) -> None:
    """Every client that waits for a person: those whose workflow cannot run, then by system, the oldest first."""
    page = Service(as_json).whole("attention", site=site, system=system, skipped=skipped)
    where = f"{f' at {site}' if site else ''}{f' (system {system})' if system else ''}"
    output(as_json, page, lambda page: show.attention(page["items"], datetime.now(UTC), where=where, skipped=skipped))
