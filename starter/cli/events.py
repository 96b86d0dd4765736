"""``connect events``: what happened to clients, in order."""

from typing import Annotated

import typer

from starter.cli.http import Service
from starter.cli.options import ListOptions, show_list
from starter.cli.show import events as show

PAGE = 100


def events(
    options: ListOptions,
    after: Annotated[int | None, typer.Option(metavar="SEQ", min=0, help="Those after this one")] = None,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="requested, effective, proven, failed or drifted")
    ] = None,
    client: Annotated[str | None, typer.Option(metavar="ID", help="Of one client")] = None,
    site: Annotated[str | None, typer.Option(metavar="ID", help="Of one building")] = None,
) -> None:
    """What happened to clients, in order: what was requested, took effect, was proven, failed or drifted.

    The first hundred, or --limit, after a number, or of those that are kept.

    \b
    Examples:
      connect events --client acme
      connect events --after 4711 --kind proven --json
    """
    limit = min(options.limit or PAGE, 500)
    filters = {"after": after, "kind": kind, "client": client, "site": site}
    page = Service(options.as_json).get("events", limit=limit, **filters)
    show_list(options, page, show.events)
