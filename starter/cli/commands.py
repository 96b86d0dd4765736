"""``connect client``: commands to a client, and to one system of it that fails."""

from typing import Annotated, Any

import typer

from starter.cli.http import Service
from starter.cli.lines import NUMBERS, numbers
from starter.cli.lines import lines as lines_of
from starter.cli.options import (
    ChangeOptions,
    CommandOptions,
    Id,
    Internet,
    Json,
    Lines,
    Offices,
    PlanOptions,
    command,
    confirm,
    on,
    send,
)
from starter.cli.show.tables import output
from starter.cli.values import filled, internet_or_none, kind, require_text, service
from workflows.domain.services import ClientType

ANEW = "Telephones and router must be configured anew, with: connect client credentials {client_id}"

app = typer.Typer()

SystemName = Annotated[
    str, typer.Argument(metavar="SYSTEM", help="telephony, internet, or a further one: see connect systems")
]


@on(app, short_help="Provide all services, ahead of the start date too.")
def activate(client_id: Id, options: CommandOptions) -> None:
    """Provide all contracted services, ahead of the start date if need be.

    \b
    Examples:
      connect client activate acme --reason "moves in early"
    """
    command(options, client_id, "activate")


@on(app, short_help="Place a hold: services are off while one stands.")
def suspend(
    client_id: Id,
    options: PlanOptions,
    source: Annotated[
        str, typer.Option(metavar="WHO", help="Source of the hold: operator, billing, security, …")
    ] = "operator",
) -> None:
    """Place a hold: every service is ceased while one stands.

    \b
    Examples:
      connect client suspend acme --source billing --reason "invoice 1042 unpaid"
      connect client suspend acme --last-day 2099-03-31
      connect client suspend acme --dry-run
    """
    command(options, client_id, "suspend", source=source)


@on(app)
def unsuspend(
    client_id: Id,
    options: PlanOptions,
    source: Annotated[str, typer.Option(metavar="WHO", help="Source of the hold to lift; all: every one")] = "operator",
) -> None:
    """Lift a hold. Services come back when the last one goes.

    \b
    Examples:
      connect client unsuspend acme --source billing --reason "invoice 1042 paid"
      connect client unsuspend acme --source all
    """
    command(options, client_id, "unsuspend", source=source)


@on(app, short_help="Close the contract and cease all services.")
def decommission(
    client_id: Id,
    options: PlanOptions,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, on a terminal either")] = False,
) -> None:
    """Close the contract and cease all services, for good.

    On a terminal it asks for the client's id. Where nobody can answer, in a script, it does what is written.

    \b
    Examples:
      connect client decommission acme --last-day 2099-03-31
      connect client decommission acme --yes --reason "moved out"
    """
    if not (yes or options.dry_run):
        when = f" after {options.last_day}" if options.last_day else f" at {options.at}" if options.at else ""
        confirm(f"This ends the contract of {client_id}, and ceases its services for good{when}.", client_id)
    command(options, client_id, "decommission")


@app.command(short_help="Erase a former client for good.")
def erase(
    client_id: Id,
    as_json: Json = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, on a terminal either")] = False,
) -> None:
    """Erase a former client for good: its name, notes, reasons, references and tags. Ids, times and proofs stay.

    \b
    Examples:
      connect client erase acme --yes
    """
    if not yes:
        confirm(f"This erases who {client_id} was, for good.", client_id)
    answer = Service(as_json).send("POST", "clients", client_id, "erase")
    output(as_json, answer, lambda it: typer.echo(f"Client {it['client_id']} is erased."))


@on(app, "cancel-decommission", short_help="Remove the planned decommission.")
def cancel_decommission(client_id: Id, options: CommandOptions) -> None:
    """Remove the planned decommission; the status stays as it is.

    \b
    Examples:
      connect client cancel-decommission acme --reason "contract renewed"
    """
    command(options, client_id, "cancel-scheduled-decommission")


@on(app, short_help="Become virtual or residential.")
def convert(
    client_id: Id,
    options: PlanOptions,
    to: Annotated[ClientType, typer.Option(help="What it becomes")],
    lines: Lines = None,
    office: Offices = None,
    internet_: Internet = None,
) -> None:
    """Become virtual (numbers stay, offices and internet end) or residential (every line gets an office).

    \b
    Examples:
      connect client convert acme --to virtual --last-day 2099-03-31
      connect client convert acme --to residential --line +442079460001@3.12
    """
    placed = lines_of(lines, Service(options.as_json), client_id=client_id)
    command(options, client_id, "convert", to=to, lines=placed, offices=office, internet=internet_)


@on(app, short_help="Change lines, internet access and further services.")
def services(
    client_id: Id,
    options: PlanOptions,
    add_line: Annotated[list[str] | None, typer.Option(metavar="NUMBERS[@OFFICE]", help=NUMBERS)] = None,
    remove_line: Annotated[
        list[str] | None, typer.Option(metavar="NUMBERS", help="Repeatable; or a range or list")
    ] = None,
    internet_: Annotated[
        Any,
        typer.Option(
            "--internet",
            metavar="DOWN/UP[:VLAN]|none",
            parser=internet_or_none,
            help="Rates in Mbit/s, or none to end it",
        ),
    ] = None,
    add_service: Annotated[
        list[Any] | None,
        typer.Option(
            metavar="KIND:NAME[:KEY=TEXT,…]",
            parser=service,
            help="doors:main-entrance:card=0472, once for each; one that it has takes these settings",
        ),
    ] = None,
    remove_service: Annotated[list[str] | None, typer.Option(metavar="KIND:NAME", help="Once for each")] = None,
) -> None:
    """Add lines (or move them to another office), remove lines, set or end internet access; add services of further
    kinds (or give them other settings) and remove them.

    \b
    Examples:
      connect client services acme --add-line +442079460002@3.14
      connect client services acme --internet 500/100
      connect client services acme --internet none --last-day 2099-03-31
    """
    api = Service(options.as_json)
    command(
        options,
        client_id,
        "services",
        add_lines=lines_of(add_line, api, client_id=client_id),
        remove_lines=numbers(remove_line, api, client_id),
        internet=internet_,
        add_services=add_service,
        remove_services=remove_service,
    )


@on(app, "cancel-planned")
def cancel_planned(
    client_id: Id,
    options: CommandOptions,
    change: Annotated[
        str,
        typer.Argument(
            metavar="KIND", help="activate, suspend, unsuspend, decommission, convert, services; or its change_id"
        ),
    ],
) -> None:
    """Cancel a planned change.

    \b
    Examples:
      connect client cancel-planned acme suspend
    """
    send(options, "DELETE", "clients", client_id, "planned", kind(change), **filled(reason=options.reason or None))


@on(app, "rotate-credentials", short_help="New secrets for its telephones and its router.")
def rotate_credentials(client_id: Id, options: CommandOptions) -> None:
    """New secrets for every line and the account. Telephones and router must then be configured anew.

    \b
    Examples:
      connect client rotate-credentials acme --reason "telephone stolen"
    """
    command(options, client_id, "rotate-credentials", then=ANEW)


# -- when a system is in the way ---------------------------------------------------------------------------------------


@on(app, short_help="Attempt a system again, at once.")
def retry(client_id: Id, system: SystemName, options: CommandOptions) -> None:
    """Attempt a system again at once, without the rest of the pause.

    \b
    Examples:
      connect client retry acme telephony
    """
    command(options, client_id, f"systems/{system}/retry")


@on(app, short_help="Accept that a system is not as decided.")
def skip(client_id: Id, system: SystemName, options: CommandOptions) -> None:
    """Accept that a system is not as decided, until the next decision that concerns it.

    \b
    Examples:
      connect client skip acme telephony --reason "the line card comes on Monday"
    """
    require_text(options.reason, "--reason", "the line card is being replaced on Monday")
    command(options, client_id, f"systems/{system}/skip")


@on(app, "mark-done", short_help="Count a system as done by hand.")
def mark_done(
    client_id: Id,
    system: SystemName,
    options: ChangeOptions,
    note: Annotated[str, typer.Option(metavar="TEXT", help="How it was done: stands as evidence")] = "",
) -> None:
    """Count a system as done, because somebody has seen to it by hand.

    \b
    Examples:
      connect client mark-done acme telephony --note "switched off at the exchange"
    """
    require_text(note, "--note", "switched off at the exchange, ticket 4711")
    command(options, client_id, f"systems/{system}/mark-done", note=note)
