"""``connect client``: commands to a client, and to one system of it that fails."""

from typing import Annotated, Any

import typer

from starter.cli.options import (
    ChangeOptions,
    CommandOptions,
    Id,
    Internet,
    Lines,
    Offices,
    PlanOptions,
    command,
    on,
    send,
)
from starter.cli.values import filled, internet_or_none, kind, line, needed, service
from workflows.domain.services import ClientType

ANEW = "Telephones and router must be configured anew, with: connect client credentials {client_id}"

app = typer.Typer()

SystemName = Annotated[
    str, typer.Argument(metavar="SYSTEM", help="telephony, internet, or a further one: see connect systems")
]


@on(app, short_help="Provide all services, ahead of the start date too.")
def activate(client_id: Id, options: CommandOptions) -> None:
    """Provide all contracted services, ahead of the start date if need be."""
    command(options, client_id, "activate")


@on(app, short_help="Place a hold: services are off while one stands.")
def suspend(
    client_id: Id,
    options: PlanOptions,
    source: Annotated[
        str, typer.Option(metavar="WHO", help="Source of the hold: operator, billing, security, …")
    ] = "operator",
) -> None:
    """Place a hold: every service is ceased while one stands."""
    command(options, client_id, "suspend", source=source)


@on(app)
def unsuspend(
    client_id: Id,
    options: PlanOptions,
    source: Annotated[str, typer.Option(metavar="WHO", help="Source of the hold to lift; all: every one")] = "operator",
) -> None:
    """Lift a hold. Services come back when the last one goes."""
    command(options, client_id, "unsuspend", source=source)


@on(app)
def decommission(client_id: Id, options: PlanOptions) -> None:
    """Close the contract and cease all services, for good."""
    command(options, client_id, "decommission")


@on(app, "cancel-decommission", short_help="Remove the planned decommission.")
def cancel_decommission(client_id: Id, options: CommandOptions) -> None:
    """Remove the planned decommission; the status stays as it is."""
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
    """Become virtual (numbers stay, offices and internet end) or residential (every line gets an office)."""
    command(options, client_id, "convert", to=to, lines=lines, offices=office, internet=internet_)


@on(app, short_help="Change lines, internet access and further services.")
def services(
    client_id: Id,
    options: PlanOptions,
    add_line: Annotated[
        list[Any] | None,
        typer.Option(metavar="NUMBER[@OFFICE]", parser=line, help="+442079460001@3.12, once for each"),
    ] = None,
    remove_line: Annotated[list[str] | None, typer.Option(metavar="NUMBER", help="Once for each")] = None,
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
    kinds (or give them other settings) and remove them."""
    command(
        options,
        client_id,
        "services",
        add_lines=add_line,
        remove_lines=remove_line,
        internet=internet_,
        add_services=add_service,
        remove_services=remove_service,
    )


@on(app, "cancel-planned")
def cancel_planned(
    client_id: Id,
    options: CommandOptions,
    change: Annotated[str, typer.Argument(metavar="KIND", help="Its kind, or its change_id")],
) -> None:
    """Cancel a planned change."""
    send(options, "DELETE", "clients", client_id, "planned", kind(change), **filled(reason=options.reason or None))


@on(app, "rotate-credentials", short_help="New secrets for its telephones and its router.")
def rotate_credentials(client_id: Id, options: CommandOptions) -> None:
    """New secrets for every line and the account. Telephones and router must then be configured anew."""
    command(options, client_id, "rotate-credentials", then=ANEW)


# -- when a system is in the way ---------------------------------------------------------------------------------------


@on(app, short_help="Attempt a system again, at once.")
def retry(client_id: Id, system: SystemName, options: CommandOptions) -> None:
    """Attempt a system again at once, without the rest of the pause."""
    command(options, client_id, f"systems/{system}/retry")


@on(app, short_help="Accept that a system is not as decided.")
def skip(client_id: Id, system: SystemName, options: CommandOptions) -> None:
    """Accept that a system is not as decided, until the next decision that concerns it."""
    needed(options.reason, "--reason", "the line card is being replaced on Monday")
    command(options, client_id, f"systems/{system}/skip")


@on(app, "mark-done", short_help="Count a system as done by hand.")
def mark_done(
    client_id: Id,
    system: SystemName,
    options: ChangeOptions,
    note: Annotated[str, typer.Option(metavar="TEXT", help="How it was done: stands as evidence")] = "",
) -> None:
    """Count a system as done, because somebody has seen to it by hand."""
    needed(note, "--note", "switched off at the exchange, ticket 4711")
    command(options, client_id, f"systems/{system}/mark-done", note=note)
