"""``connect site``: the buildings."""

from typing import Annotated, Any

import typer

from starter.cli.http import Service
from starter.cli.options import Json, ListOptions, on, show_list
from starter.cli.show import sites as show
from starter.cli.show.tables import output
from starter.cli.values import filled, instance

Instances = Annotated[
    list[Any] | None,
    typer.Option(
        metavar="KIND=INSTANCE",
        parser=instance,
        help="telephony=london, once for each kind: the instance that serves it here; main where none is named",
    ),
]

Id = Annotated[str, typer.Argument(metavar="ID", help="The site's id")]
Country = Annotated[
    str | None,
    typer.Option(
        metavar="GB", help='ISO 3166, two letters: numbers can then be typed as people dial them there; "" for none'
    ),
]

app = typer.Typer(no_args_is_help=True, help="Sites: the buildings.")


@app.command()
def add(
    site_id: Id,
    name: Annotated[str, typer.Option(metavar="NAME", help="The building's name")],
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="IANA, for example Europe/London")],
    country: Country = None,
    system: Instances = None,
    as_json: Json = False,
) -> None:
    """Add a site.

    \b
    Examples:
      connect site add thames-house --name "Thames House" --timezone Europe/London --country GB
    """
    body = filled(site_id=site_id, name=name, timezone=timezone, country=country or None, systems=dict(system or []))
    output(as_json, Service(as_json).send("POST", "sites", body=body), show.site)


@app.command(short_help="Rename a site, change what it has, retire it.")
def edit(
    site_id: Id,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The building's name")] = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="IANA; not while a living client is there")
    ] = None,
    country: Country = None,
    retire: Annotated[
        bool | None,
        typer.Option("--retire/--reopen", help="It takes no new client; not while a living client is there"),
    ] = None,
    system: Instances = None,
    as_json: Json = False,
) -> None:
    """Rename a site, give it a country, another time zone or other instances, which serve what its clients take from
    then on; retire it.

    \b
    Examples:
      connect site edit thames-house --name "Thames Court"
      connect site edit thames-house --retire
    """
    body = filled(name=name, timezone=timezone, systems=dict(system or []))
    if country is not None:
        body["country"] = country or None
    if retire is not None:
        body["retired"] = retire
    output(as_json, Service(as_json).send("PATCH", "sites", site_id, body=body), show.site)


@on(app)
def history(site_id: Id, options: ListOptions) -> None:
    """Who changed what of a site, newest first.

    \b
    Examples:
      connect site history thames-house
    """
    show_list(options, Service(options.as_json).get("sites", site_id, "history"), show.history)


@on(app, "list")
def list_sites(options: ListOptions) -> None:
    """Every site.

    \b
    Examples:
      connect site list
    """
    show_list(options, Service(options.as_json).get("sites"), show.sites)
