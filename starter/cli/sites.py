"""``connect site``: the buildings."""

from typing import Annotated, Any

import typer

from starter.cli.http import Service
from starter.cli.options import Json
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

app = typer.Typer(no_args_is_help=True, help="Sites: the buildings.")


@app.command()
def add(
    site_id: Annotated[str, typer.Argument(metavar="ID")],
    name: Annotated[str, typer.Option(metavar="NAME", help="The building's name")],
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="IANA, for example Europe/London")],
    system: Instances = None,
    as_json: Json = False,
) -> None:
    """Add a site."""
    body = filled(site_id=site_id, name=name, timezone=timezone, systems=dict(system or []) or None)
    output(as_json, Service(as_json).send("POST", "sites", body=body), show.site)


@app.command()
def edit(
    site_id: Annotated[str, typer.Argument(metavar="ID")],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The building's name")] = None,
    system: Instances = None,
    as_json: Json = False,
) -> None:
    """Give a site another name, or other instances, which serve what its clients take from then on."""
    body = filled(name=name, systems=dict(system or []) or None)
    output(as_json, Service(as_json).send("PATCH", "sites", site_id, body=body), show.site)


@app.command("list")
def list_sites(as_json: Json = False) -> None:
    """Every site."""
    output(as_json, Service(as_json).get("sites"), show.sites)
