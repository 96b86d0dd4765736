"""``connect client``: look at clients, add them, and edit what is written of them."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from starter.cli import commands
from starter.cli.http import Service
from starter.cli.lines import lines as lines_of
from starter.cli.options import (
    CommandOptions,
    Id,
    Internet,
    Json,
    Lines,
    ListOptions,
    Offices,
    SendOptions,
    Services,
    on,
    send,
    show_list,
)
from starter.cli.show import clients as render
from starter.cli.show.tables import output
from starter.cli.values import CLIENT_SORTS, client_sort, filled
from starter.cli.values import external_id as external_id_
from starter.cli.values import status as as_status
from starter.sheets import CLIENT, client_cells
from starter.wording import Standing
from workflows.domain.lifecycle import Activation
from workflows.domain.services import ClientType

ExternalIds = Annotated[
    list[Any] | None,
    typer.Option(
        "--external-id",
        metavar="SYSTEM:ID",
        parser=external_id_,
        help="What others call it: crm:4711, once for each",
    ),
]

app = typer.Typer(no_args_is_help=True, help="Clients: look at them, and send them commands.")


@dataclass(frozen=True, kw_only=True)
class ClientListOptions(ListOptions):
    """Of the list of clients, which the service sorts."""

    sort: Annotated[
        Any,
        typer.Option(
            metavar="[-]FIELD", parser=client_sort, help=f"By one of {', '.join(CLIENT_SORTS)}; -FIELD: downwards"
        ),
    ] = None


# -- looking ----------------------------------------------------------------------------------------------------------


@on(app, "list")
def list_clients(
    options: ClientListOptions,
    inactive: Annotated[bool, typer.Option("--inactive", help="Show decommissioned clients too")] = False,
    status: Annotated[
        Any, typer.Option(metavar="STATUS", parser=as_status, help="new, active, suspended or inactive")
    ] = None,
    provisioning: Annotated[Standing | None, typer.Option(help="Where its systems stand")] = None,
    type_: Annotated[ClientType | None, typer.Option("--type", help="Of one type")] = None,
    site: Annotated[str | None, typer.Option(metavar="ID", help="Of one building")] = None,
    search: Annotated[str | None, typer.Option(metavar="TEXT", help="In name, ref, id, number and office")] = None,
    tag: Annotated[str | None, typer.Option(metavar="TAG", help="Only those with this tag")] = None,
    external_id: Annotated[
        str | None, typer.Option(metavar="SYSTEM:ID", help="The one that another system calls so: crm:4711")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Only those with an open matter")] = False,
) -> None:
    """Every client, without the Inactive ones.

    \b
    Examples:
      connect client list --site thames-house
      connect client list --status inactive --sort -end-date --limit 10
      connect client list --csv > clients.csv
    """
    service = Service(options.as_json)
    filters = {"status": status, "provisioning": provisioning, "type": type_, "site": site, "q": search}
    filters |= {"tag": tag, "external_id": external_id}
    page = service.whole(
        "clients", most=options.limit, **filters, inactive=inactive, open=open_, sort=options.sort or None
    )
    if site and not page["items"]:
        service.check_site(site)

    def show(page: dict[str, Any]) -> None:
        render.clients(page["items"], service.get("clients", inactive=True, limit=1)["total"])

    show_list(options, page, show, in_order=True, as_cells=lambda items: (CLIENT, [*map(client_cells, items)]))


@app.command(short_help="One client: decided, planned, proven.")
def show(client_id: Id, as_json: Json = False) -> None:
    """One client: what was decided, what is planned, what is proven.

    \b
    Examples:
      connect client show acme
      connect client show acme --json
    """
    output(as_json, Service(as_json).get("clients", client_id), render.client)


@on(app, short_help="What was asked, refused, decided, tried, proven.")
def history(client_id: Id, options: ListOptions) -> None:
    """Everything that was asked, refused, decided, tried and proven, newest first.

    \b
    Examples:
      connect client history acme --limit 20
      connect client history acme --csv > history.csv
    """
    most = None if options.sort else options.limit
    show_list(options, Service(options.as_json).whole("clients", client_id, "history", most=most), render.history)


@app.command(short_help="What its telephones and router are configured with.")
def credentials(client_id: Id, as_json: Json = False) -> None:
    """What its telephones and its router are configured with: usernames, passwords, servers.

    \b
    Examples:
      connect client credentials acme
    """
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
    external_id: ExternalIds = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="To filter by, once for each")] = None,
    manual: Annotated[bool, typer.Option("--manual", help="Stays New until somebody activates it")] = False,
    management: Annotated[bool, typer.Option("--management", help="The operator's own client of the site")] = False,
) -> None:
    """Create a client.

    \b
    Examples:
      connect client add --name "Acme Ltd" --type residential --site thames-house \\
        --line +442079460001@3.12 --internet 100/20:110
      connect client add --name "Bolt & Co" --type virtual --site thames-house
    """
    body = filled(
        client_id=id_,
        name=name,
        type=type_,
        site=site,
        lines=lines_of(lines, Service(options.as_json), site=site),
        internet=internet_,
        offices=office,
        services=service,
        start_date=start_date,
        end_date=end_date,
        billing_ref=billing_ref,
        activation="manual" if manual else None,
        management=management,
        external_ids=dict(external_id or []),
        tags=tag,
    )
    send(options, "POST", "clients", body=body)


@on(app)
def edit(
    client_id: Id,
    options: CommandOptions,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The company's name")] = None,
    billing_ref: Annotated[str | None, typer.Option(metavar="REF", help='"" has one generated')] = None,
    start_date: Annotated[str | None, typer.Option(metavar="DATE", help="YYYY-MM-DD, at the site")] = None,
    end_date: Annotated[str | None, typer.Option(metavar="DATE", help='YYYY-MM-DD, or "" for none')] = None,
    external_id: Annotated[
        list[Any] | None,
        typer.Option(metavar="SYSTEM:ID", parser=external_id_, help="crm:4711, once for each; crm: removes it"),
    ] = None,
    activation: Annotated[
        Activation | None, typer.Option(help="Of a New client: on its start date, or by hand")
    ] = None,
) -> None:
    """Edit details.

    \b
    Examples:
      connect client edit acme --name "Acme Holdings Ltd"
      connect client edit acme --end-date 2099-12-31
      connect client edit acme --billing-ref ""
    """
    body = filled(
        name=name, billing_ref=billing_ref, start_date=start_date, activation=activation, reason=options.reason or None
    )
    if external_id:
        body["external_ids"] = {system: value or None for system, value in external_id}
    if end_date is not None:
        body["end_date"] = end_date or None
    send(options, "PATCH", "clients", client_id, body=body)


app.add_typer(commands.app)
