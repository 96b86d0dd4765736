"""``connect site``: the buildings."""

from typing import Annotated

import typer

from starter.cli.http import Service
from starter.cli.options import Json

app = typer.Typer(no_args_is_help=True, help="Sites: the buildings.")


@app.command()
def add(
    site_id: Annotated[str, typer.Argument(metavar="ID")],
    name: Annotated[str, typer.Option(metavar="NAME", help="The building's name")],
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="IANA, for example Europe/London")],
    as_json: Json = False,
) -> None:
    """Add a site."""
    from starter.cli.show import tables

    body = {"site_id": site_id, "name": name, "timezone": timezone}
    site = Service(as_json).send("POST", "sites", body=body)
    tables.as_json(site) if as_json else tables.say(f"Site {site['site_id']}: {site['name']}, {site['timezone']}")


@app.command("list")
def list_sites(as_json: Json = False) -> None:
    """Every site."""
    from starter.cli.show import clients as render
    from starter.cli.show import tables

    page = Service(as_json).get("sites")
    tables.as_json(page) if as_json else render.sites(page["items"])
