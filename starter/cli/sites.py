"""``connect site``: the buildings."""

from typing import Annotated

import typer

from starter.cli.http import Service
from starter.cli.options import Json
from starter.cli.show import sites as show
from starter.cli.show.tables import output

app = typer.Typer(no_args_is_help=True, help="Sites: the buildings.")


@app.command()
def add(
    site_id: Annotated[str, typer.Argument(metavar="ID")],
    name: Annotated[str, typer.Option(metavar="NAME", help="The building's name")],
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="IANA, for example Europe/London")],
    as_json: Json = False,
) -> None:
    """Add a site."""
    body = {"site_id": site_id, "name": name, "timezone": timezone}
    output(as_json, Service(as_json).send("POST", "sites", body=body), show.site)


@app.command("list")
def list_sites(as_json: Json = False) -> None:
    """Every site."""
    output(as_json, Service(as_json).get("sites"), show.sites)
