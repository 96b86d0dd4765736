"""``connect matters``: everything that a person should see to; and to whom it is assigned."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from starter.cli.http import Service
from starter.cli.options import Json, ListOptions, show_list
from starter.cli.show import matters as show
from starter.cli.show.tables import output

app = typer.Typer()

Id = Annotated[str, typer.Argument(metavar="ID", help="The client's id; - for a matter of no client")]
Matter = Annotated[
    str, typer.Argument(metavar="MATTER", help="As connect matters names it: end_date_passed, telephony")
]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Kept in the history")]


def matters(
    options: ListOptions,
    site: Annotated[str | None, typer.Option(metavar="ID")] = None,
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="end_date_passed, skipped, …")] = None,
    assigned_to: Annotated[str | None, typer.Option(metavar="NAME", help="A name; me; nobody")] = None,
    snoozed: Annotated[bool, typer.Option("--snoozed", help="Include what was snoozed")] = False,
) -> None:
    """Every open matter: what a person should see to, the oldest first.

    \b
    Examples:
      connect matters --site thames-house
      connect matters --assigned-to me
    """
    filters = {"site": site, "kind": kind, "assigned_to": assigned_to, "snoozed": snoozed}
    service = Service(options.as_json)
    page = service.whole("matters", most=None if options.sort else options.limit, **filters)
    if site and not page["items"]:
        service.check_site(site)
    show_list(options, page, lambda page: show.matters(page, datetime.now(UTC)))


@app.command(short_help="Hide an open matter until it changes.")
def acknowledge(client_id: Id, matter: Matter, reason: Reason = "", as_json: Json = False) -> None:
    """Hide an open matter until it is another one: another end date, another skip, another plan.

    \b
    Examples:
      connect client acknowledge acme end_date_passed --reason "stays until Friday"
    """
    _send(as_json, client_id, matter, "acknowledge", reason=reason)


@app.command(short_help="Assign an open matter to somebody.")
def assign(
    client_id: Id,
    matter: Matter,
    to: Annotated[str, typer.Argument(metavar="NAME", help="A name; me; nobody")] = "me",
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Assign an open matter to somebody. It stays in the list.

    \b
    Examples:
      connect client assign acme telephony ada
    """
    _send(as_json, client_id, matter, "assign", assigned_to=to, reason=reason)


@app.command(short_help="Snooze an open matter.")
def snooze(
    client_id: Id,
    matter: Matter,
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="A day at the site, or an instant with offset")
    ] = None,
    end: Annotated[bool, typer.Option("--end", help="End the snooze")] = False,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Snooze an open matter until a day, or until its text changes, by a new error for example.

    \b
    Examples:
      connect client snooze acme telephony --until 2099-03-31
    """
    _send(as_json, client_id, matter, "snooze", snoozed_until=until, end=end, reason=reason)


def _send(as_json: bool, client_id: str, matter: str, verb: str, **body: Any) -> None:
    place = ("matters",) if client_id == "-" else ("clients", client_id, "matters")
    output(as_json, Service(as_json).send("POST", *place, matter, verb, body=body), show.answer)
