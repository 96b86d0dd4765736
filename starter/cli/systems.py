"""``connect systems`` and ``connect attention``: how the systems are, and which clients wait for a person."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from starter.cli.http import Service
from starter.cli.options import ListOptions, flatten_options, show_list
from starter.cli.show import systems as show

app = typer.Typer(short_help="How each system is, and who waits for it.")


@app.callback(invoke_without_command=True)
@flatten_options
def systems(context: typer.Context, options: ListOptions) -> None:
    """The systems that Connect switches: how each is, and how many clients wait for it.

    \b
    Examples:
      connect systems
      connect systems --json
    """
    if context.invoked_subcommand is None:
        page = Service(options.as_json).get("systems")
        show_list(options, page, lambda page: show.systems(page["items"], datetime.now(UTC), page.get("canaries", ())))


def attention(
    options: ListOptions,
    site: Annotated[str | None, typer.Option(metavar="ID", help="Of one building")] = None,
    system: Annotated[
        str | None, typer.Option(metavar="SYSTEM", help="telephony, internet, …; workflow: those that cannot run")
    ] = None,
    skipped: Annotated[bool, typer.Option("--skipped", help="Include what was skipped")] = False,
) -> None:
    """Every client that waits for a person: those whose workflow cannot run, then by system, the oldest first.

    \b
    Examples:
      connect attention --site thames-house
      connect attention --system telephony --skipped
    """
    service = Service(options.as_json)
    most = None if options.sort else options.limit
    page = service.whole("attention", most=most, site=site, system=system, skipped=skipped)
    if site and not page["items"]:
        service.check_site(site)
    where = f"{f' at {site}' if site else ''}{f' (system {system})' if system else ''}"
    show_list(
        options, page, lambda page: show.attention(page["items"], datetime.now(UTC), where=where, skipped=skipped)
    )
