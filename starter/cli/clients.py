"""``connect client``: look at clients, and tell them what to do."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from starter.cli.http import CommandId, DryRun, Json, Service, Wait
from starter.cli.values import System, given, internet, internet_or_none, kind, line, needed

ANEW = "Telephones and router must be configured anew, with: connect client credentials {client_id}"

app = typer.Typer(no_args_is_help=True, help="Clients: look at them, and tell them what to do.")


class Type(StrEnum):
    residential = "residential"
    virtual = "virtual"


class Status(StrEnum):
    new = "new"
    active = "active"
    suspended = "suspended"
    decommissioned = "decommissioned"


class Activation(StrEnum):
    automatic = "automatic"
    manual = "manual"


class Provisioning(StrEnum):
    settled = "settled"
    changing = "changing"
    attention = "attention"


SystemName = Annotated[System, typer.Argument(metavar="SYSTEM", help="telephony or internet")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The client's id")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Kept in the history")]
Source = Annotated[str, typer.Option(metavar="WHO", help="Who stands behind it: operator, billing, security, …")]
LastDay = Annotated[
    str | None, typer.Option(metavar="DATE", help="Plan it: the last day of the present state, inclusive, at the site")
]
At = Annotated[
    str | None, typer.Option(metavar="INSTANT", help="Plan it: an instant with offset, 2099-03-31T18:00+01:00")
]
Lines = Annotated[
    list[str] | None,
    typer.Option("--line", metavar="NUMBER[@OFFICE]", help="+442079460001@3.12, once for each; virtual: no @OFFICE"),
]
Offices = Annotated[list[str] | None, typer.Option("--office", metavar="OFFICE", help="One without a telephone line")]
InternetOption = Annotated[
    str | None, typer.Option("--internet", metavar="DOWN/UP[:VLAN]", help="Rates in Mbit/s: 100/20, 100/20:110")
]


# -- looking ----------------------------------------------------------------------------------------------------------


@app.command("list")
def list_clients(
    inactive: Annotated[bool, typer.Option("--inactive", help="Show decommissioned clients too")] = False,
    status: Annotated[Status | None, typer.Option()] = None,
    provisioning: Annotated[Provisioning | None, typer.Option()] = None,
    type_: Annotated[Type | None, typer.Option("--type")] = None,
    site: Annotated[str | None, typer.Option(metavar="ID")] = None,
    search: Annotated[str | None, typer.Option(metavar="TEXT", help="In name, ref, id, number and office")] = None,
    as_json: Json = False,
) -> None:
    """Every client, without the Inactive ones."""
    from starter.cli.show import clients as render
    from starter.cli.show import tables

    service = Service(as_json)
    narrowed = {"status": status, "provisioning": provisioning, "type": type_, "site": site, "q": search}
    page = service.whole("clients", **narrowed, inactive=inactive)
    if as_json:
        tables.as_json(page)
    else:
        render.clients(page["items"], service.get("clients", inactive=True, limit=1)["total"])


@app.command(short_help="One client: decided, planned, proven.")
def show(client_id: Id, as_json: Json = False) -> None:
    """One client: what was decided, what is planned, what is proven."""
    from starter.cli.show import clients as render
    from starter.cli.show import tables

    client = Service(as_json).get("clients", client_id)
    tables.as_json(client) if as_json else render.client(client)


@app.command(short_help="What was asked, refused, decided, tried, proven.")
def history(client_id: Id, as_json: Json = False) -> None:
    """Everything that was asked, refused, decided, tried and proven, newest first."""
    from starter.cli.show import clients as render
    from starter.cli.show import tables

    page = Service(as_json).whole("clients", client_id, "history")
    tables.as_json(page) if as_json else render.history(page)


@app.command(short_help="What its telephones and router are configured with.")
def credentials(client_id: Id, as_json: Json = False) -> None:
    """What its telephones and its router are configured with: usernames, passwords, servers."""
    from starter.cli.show import clients as render
    from starter.cli.show import tables

    told = Service(as_json).get("clients", client_id, "credentials")
    tables.as_json(told) if as_json else render.credentials(told)


# -- changing ---------------------------------------------------------------------------------------------------------


@app.command()
def add(
    name: Annotated[str, typer.Option(metavar="NAME", help="The company's name")],
    type_: Annotated[Type, typer.Option("--type", help="Rents offices in the building, or has lines only")],
    site: Annotated[str, typer.Option(metavar="ID", help="The building: see connect site list")],
    id_: Annotated[str | None, typer.Option("--id", metavar="ID", help="Generated when left out")] = None,
    lines: Lines = None,
    internet_: InternetOption = None,
    office: Offices = None,
    start_date: Annotated[
        str | None, typer.Option(metavar="DATE", help="YYYY-MM-DD, at the site; today when left out")
    ] = None,
    end_date: Annotated[
        str | None, typer.Option(metavar="DATE", help="When it is due to move out; never acts on services")
    ] = None,
    billing_ref: Annotated[str | None, typer.Option(metavar="REF", help="Generated when left out")] = None,
    manual: Annotated[bool, typer.Option("--manual", help="Stays New until somebody activates it")] = False,
    management: Annotated[bool, typer.Option("--management", help="The operator's own client of the site")] = False,
    wait: Wait = 30,
    command_id: CommandId = "",
    as_json: Json = False,
) -> None:
    """Create a client."""
    body = given(
        client_id=id_,
        name=name,
        type=type_,
        site=site,
        lines=[line(text) for text in lines or ()],
        internet=internet_ and internet(internet_),
        offices=office,
        start_date=start_date,
        end_date=end_date,
        billing_ref=billing_ref,
        activation="manual" if manual else None,
        management=management,
    )
    _send("POST", "clients", body=body, wait=wait, command_id=command_id, as_json=as_json)


@app.command()
def edit(
    client_id: Id,
    name: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    billing_ref: Annotated[str | None, typer.Option(metavar="REF", help='"" has one generated')] = None,
    start_date: Annotated[str | None, typer.Option(metavar="DATE", help="YYYY-MM-DD, at the site")] = None,
    end_date: Annotated[str | None, typer.Option(metavar="DATE", help='YYYY-MM-DD, or "" for none')] = None,
    activation: Annotated[
        Activation | None, typer.Option(help="Of a New client: on its start date, or by hand")
    ] = None,
    reason: Reason = "",
    wait: Wait = 30,
    command_id: CommandId = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Edit details."""
    details = {"name": name, "billing_ref": billing_ref, "start_date": start_date, "activation": activation}
    details["reason"] = reason or None
    body: dict[str, Any] = {field: value for field, value in details.items() if value is not None}
    if end_date is not None:
        body["end_date"] = end_date or None
    _send("PATCH", "clients", client_id, body=body, wait=wait, command_id=command_id, as_json=as_json, dry_run=dry_run)


@app.command(short_help="Provide all services, ahead of the start date too.")
def activate(
    client_id: Id,
    reason: Reason = "",
    wait: Wait = 30,
    command_id: CommandId = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Provide all contracted services, ahead of the start date if need be."""
    _command(client_id, "activate", given(reason=reason), wait, command_id, as_json, dry_run)


@app.command(short_help="Place a hold: services are off while one stands.")
def suspend(
    client_id: Id,
    source: Source = "operator",
    reason: Reason = "",
    last_day: LastDay = None,
    at: At = None,
    wait: Wait = 30,
    command_id: CommandId = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Place a hold: every service is ceased while one stands."""
    body = given(source=source, reason=reason, last_day=last_day, at=at)
    _command(client_id, "suspend", body, wait, command_id, as_json, dry_run)


@app.command()
def unsuspend(
    client_id: Id,
    source: Annotated[str, typer.Option(metavar="WHO", help="Whose hold to lift; all: every one")] = "operator",
    reason: Reason = "",
    last_day: LastDay = None,
    at: At = None,
    wait: Wait = 30,
    command_id: CommandId = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Lift a hold. Services come back when the last one goes."""
    body = given(source=source, reason=reason, last_day=last_day, at=at)
    _command(client_id, "unsuspend", body, wait, command_id, as_json, dry_run)


@app.command()
def decommission(
    client_id: Id,
    last_day: LastDay = None,
    at: At = None,
    reason: Reason = "",
    wait: Wait = 30,
    command_id: CommandId = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Close the contract and cease all services, for good."""
    body = given(reason=reason, last_day=last_day, at=at)
    _command(client_id, "decommission", body, wait, command_id, as_json, dry_run)


@app.command("cancel-decommission", short_help="Remove the planned decommission.")
def cancel_decommission(
    client_id: Id,
    reason: Reason = "",
    wait: Wait = 30,
    command_id: CommandId = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Remove the planned decommission; the status stays as it is."""
    _command(client_id, "cancel-scheduled-decommission", given(reason=reason), wait, command_id, as_json, dry_run)


@app.command(short_help="Become virtual or residential.")
def convert(
    client_id: Id,
    to: Annotated[Type, typer.Option(help="What it becomes")],
    lines: Lines = None,
    office: Offices = None,
    internet_: InternetOption = None,
    reason: Reason = "",
    last_day: LastDay = None,
    at: At = None,
    wait: Wait = 30,
    command_id: CommandId = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Become virtual (numbers stay, offices and internet end) or residential (every line gets an office)."""
    body = given(
        to=to,
        lines=[line(text) for text in lines or ()],
        offices=office,
        internet=internet_ and internet(internet_),
        reason=reason,
        last_day=last_day,
        at=at,
    )
    _command(client_id, "convert", body, wait, command_id, as_json, dry_run)


@app.command(short_help="Add or remove lines, set or end internet access.")
def services(
    client_id: Id,
    add_line: Annotated[
        list[str] | None, typer.Option(metavar="NUMBER[@OFFICE]", help="+442079460001@3.12, once for each")
    ] = None,
    remove_line: Annotated[list[str] | None, typer.Option(metavar="NUMBER", help="Once for each")] = None,
    internet_: Annotated[
        str | None, typer.Option("--internet", metavar="DOWN/UP[:VLAN]|none", help="Rates in Mbit/s, or none to end it")
    ] = None,
    reason: Reason = "",
    last_day: LastDay = None,
    at: At = None,
    wait: Wait = 30,
    command_id: CommandId = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Add lines (or move them to another office), remove lines, set or end internet access."""
    body = given(
        add_lines=[line(text) for text in add_line or ()],
        remove_lines=remove_line,
        internet=internet_ and internet_or_none(internet_),
        reason=reason,
        last_day=last_day,
        at=at,
    )
    _command(client_id, "services", body, wait, command_id, as_json, dry_run)


@app.command("cancel-planned")
def cancel_planned(
    client_id: Id,
    change: Annotated[str, typer.Argument(metavar="KIND", help="Its kind, or its change_id")],
    reason: Reason = "",
    wait: Wait = 30,
    command_id: CommandId = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Cancel a planned change."""
    path = ("clients", client_id, "planned", kind(change))
    _send(
        "DELETE",
        *path,
        wait=wait,
        command_id=command_id,
        as_json=as_json,
        dry_run=dry_run,
        **given(reason=reason or None),
    )


@app.command("rotate-credentials", short_help="New secrets for its telephones and its router.")
def rotate_credentials(
    client_id: Id,
    reason: Reason = "",
    wait: Wait = 30,
    command_id: CommandId = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """New secrets for every line and the account. Telephones and router must then be configured anew."""
    _command(client_id, "rotate-credentials", given(reason=reason), wait, command_id, as_json, dry_run, then=ANEW)


# -- ways out ---------------------------------------------------------------------------------------------------------


@app.command(short_help="Attempt a system again, at once.")
def retry(
    client_id: Id,
    system: SystemName,
    reason: Reason = "",
    wait: Wait = 30,
    command_id: CommandId = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Attempt a system again at once, without the rest of the pause."""
    _command(client_id, f"systems/{system}/retry", given(reason=reason), wait, command_id, as_json, dry_run)


@app.command(short_help="Accept that a system is not as decided.")
def skip(
    client_id: Id,
    system: SystemName,
    reason: Reason = "",
    wait: Wait = 30,
    command_id: CommandId = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Accept that a system is not as decided, until the next decision that concerns it."""
    body = {"reason": needed(reason, "--reason", "the line card is being replaced on Monday")}
    _command(client_id, f"systems/{system}/skip", body, wait, command_id, as_json, dry_run)


@app.command("mark-done", short_help="Count a system as done by hand.")
def mark_done(
    client_id: Id,
    system: SystemName,
    note: Annotated[str, typer.Option(metavar="TEXT", help="How it was done: stands as evidence")] = "",
    wait: Wait = 30,
    command_id: CommandId = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Count a system as done, because somebody has seen to it by hand."""
    body = {"note": needed(note, "--note", "switched off at the exchange, ticket 4711")}
    _command(client_id, f"systems/{system}/mark-done", body, wait, command_id, as_json, dry_run)


def _command(
    client_id: str,
    route: str,
    body: dict[str, Any],
    wait: float,
    command_id: str,
    as_json: bool,
    dry_run: bool,
    then: str = "",
) -> None:
    path = ("clients", client_id, *route.split("/"))
    _send("POST", *path, body=body, wait=wait, command_id=command_id, as_json=as_json, dry_run=dry_run, then=then)


def _send(
    method: str, *path: str, wait: float, as_json: bool, dry_run: bool = False, then: str = "", **rest: Any
) -> None:
    """Tell, and show the answer, or what it would be; ``then`` is what a person has to do when something changed."""
    from starter.cli.show import clients as render
    from starter.cli.show import preview as render_preview
    from starter.cli.show import tables

    service = Service(as_json)
    if dry_run:
        shown = service.send(method, *path, dry_run="true", **rest)
        tables.as_json(shown) if as_json else render_preview.preview(shown)
        return
    answer = service.send(method, *path, wait=wait, **rest)
    if as_json:
        tables.as_json(answer)
    else:
        render.answer(answer)
        if then and answer["changed"]:
            tables.say(then.format(**answer))
    service.finish(answer, wait)
