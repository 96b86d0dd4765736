"""``connect client``: look at clients, add them, and edit what is written of them."""

from typing import Annotated, Any

import typer

from starter.cli import commands
from starter.cli.http import Service
from starter.cli.options import CommandOptions, Id, Internet, Json, Lines, Offices, SendOptions, Services, on, send
from starter.cli.show import clients as render
from starter.cli.show.tables import output
from starter.cli.values import filled
from workflows.domain.lifecycle import Activation, Status
from workflows.domain.provisioning.provisioning import Provisioned
from workflows.domain.services import ClientType

app = typer.Typer(no_args_is_help=True, help="Clients: look at them, and send them commands.")


# -- looking ----------------------------------------------------------------------------------------------------------


@app.command("list")
def list_clients(
    inactive: Annotated[bool, typer.Option("--inactive", help="Show decommissioned clients too")] = False,
    status: Annotated[Status | None, typer.Option()] = None,
    provisioning: Annotated[Provisioned | None, typer.Option()] = None,
    type_: Annotated[ClientType | None, typer.Option("--type")] = None,
    site: Annotated[str | None, typer.Option(metavar="ID")] = None,
    search: Annotated[str | None, typer.Option(metavar="TEXT", help="In name, ref, id, number and office")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Only those with an open matter")] = False,
    as_json: Json = False,
) -> None:
    """Every client, without the Inactive ones."""
    service = Service(as_json)
    filters = {"status": status, "provisioning": provisioning, "type": type_, "site": site, "q": search}

    def show(page: dict[str, Any]) -> None:
        render.clients(page["items"], service.get("clients", inactive=True, limit=1)["total"])

    output(as_json, service.whole("clients", **filters, inactive=inactive, open=open_), show)


@app.command(short_help="One client: decided, planned, proven.")
def show(client_id: Id, as_json: Json = False) -> None:
    """One client: what was decided, what is planned, what is proven."""
    output(as_json, Service(as_json).get("clients", client_id), render.client)


@app.command(short_help="What was asked, refused, decided, tried, proven.")
def history(client_id: Id, as_json: Json = False) -> None:
    """Everything that was asked, refused, decided, tried and proven, newest first."""
    output(as_json, Service(as_json).whole("clients", client_id, "history"), render.history)


@app.command(short_help="What its telephones and router are configured with.")
def credentials(client_id: Id, as_json: Json = False) -> None:
    """What its telephones and its router are configured with: usernames, passwords, servers."""
    output(as_json, Service(as_json).get("clients", client_id, "credentials"), render.credentials)


# -- what is written of them ------------------------------------------------------------------------------------------


@on(app)
def add(
    name: Annotated[str, typer.Option(metavar="NAME", help="The company's name")],
    type_: Annotated[ClientType, typer.Option("--type", help="Rents offices in the building, or has lines only")],
    site: Annotated[str, typer.Option(metavar="ID", help="The building: see connect site list")],
    options: SendOptions,
    id_: Annotated[str | None, typer.Option("--id", metavar="ID", help="Generated when left out")] = None,
    lines: Lines = None,
    internet_: Internet = None,
    office: Offices = None,
    service: Services = None,
    start_date: Annotated[
        str | None, typer.Option(metavar="DATE", help="YYYY-MM-DD, at the site; today when left out")
    ] = None,
    end_date: Annotated[
        str | None, typer.Option(metavar="DATE", help="When it is due to move out; never acts on services")
    ] = None,
    billing_ref: Annotated[str | None, typer.Option(metavar="REF", help="Generated when left out")] = None,
    manual: Annotated[bool, typer.Option("--manual", help="Stays New until somebody activates it")] = False,
    management: Annotated[bool, typer.Option("--management", help="The operator's own client of the site")] = False,
) -> None:
    """Create a client."""
    body = filled(
        client_id=id_,
        name=name,
        type=type_,
        site=site,
        lines=lines,
        internet=internet_,
        offices=office,
        services=service,
        start_date=start_date,
        end_date=end_date,
        billing_ref=billing_ref,
        activation="manual" if manual else None,
        management=management,
    )
    send(options, "POST", "clients", body=body)


@on(app)
def edit(
    client_id: Id,
    options: CommandOptions,
    name: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    billing_ref: Annotated[str | None, typer.Option(metavar="REF", help='"" has one generated')] = None,
    start_date: Annotated[str | None, typer.Option(metavar="DATE", help="YYYY-MM-DD, at the site")] = None,
    end_date: Annotated[str | None, typer.Option(metavar="DATE", help='YYYY-MM-DD, or "" for none')] = None,
    activation: Annotated[
        Activation | None, typer.Option(help="Of a New client: on its start date, or by hand")
    ] = None,
) -> None:
    """Edit details."""
    body = filled(
        name=name, billing_ref=billing_ref, start_date=start_date, activation=activation, reason=options.reason or None
    )
    if end_date is not None:
        body["end_date"] = end_date or None
    send(options, "PATCH", "clients", client_id, body=body)


app.add_typer(commands.app)
