"""``connect webhook``: addresses that receive events."""

from typing import Annotated, Any

import typer

from starter.cli.http import Service
from starter.cli.options import Json, ListOptions, on, show_list
from starter.cli.show import webhooks as show
from starter.cli.show.tables import output
from starter.cli.values import filled

app = typer.Typer(no_args_is_help=True, help="Webhooks: addresses that receive events.")

Id = Annotated[str, typer.Argument(metavar="ID", help="The webhook's id")]
Kinds = Annotated[
    list[str] | None,
    typer.Option("--kind", metavar="KIND", help='requested, effective, proven, failed, drifted; "" for all'),
]
Sites = Annotated[
    list[str] | None, typer.Option("--site", metavar="ID", help='Of these buildings alone; "" for those of all')
]
Clients = Annotated[
    list[str] | None, typer.Option("--client", metavar="ID", help='Of these clients alone; "" for those of all')
]
PATH = "webhooks"


@app.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where events are sent to, with https")],
    description: Annotated[str, typer.Option(metavar="TEXT", help="What it is for")] = "",
    kind: Kinds = None,
    site: Sites = None,
    client: Clients = None,
    after: Annotated[
        int | None, typer.Option(metavar="SEQ", min=0, help="Send it the events after this one, too")
    ] = None,
    as_json: Json = False,
) -> None:
    """Add a webhook. Its secret is shown this once: the receiver verifies with it.

    \b
    Examples:
      connect webhook add https://billing.example.net/connect --kind effective --kind proven --site thames-house
    """
    body = filled(url=url, description=description or None, after=after) | _filter(kind, site, client)
    output(as_json, Service(as_json).send("POST", PATH, body=body), show.secret)


@on(app, "list", short_help="Every webhook.")
def webhooks(options: ListOptions) -> None:
    """Every webhook: where it leads, what it receives, and how it is.

    \b
    Examples:
      connect webhook list
      connect webhook list --json
    """
    show_list(options, Service(options.as_json).get(PATH), show.webhooks)


@app.command(short_help="Change a webhook.")
def edit(
    webhook_id: Id,
    url: Annotated[str | None, typer.Option(metavar="URL")] = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for")] = None,
    kind: Kinds = None,
    site: Sites = None,
    client: Clients = None,
    as_json: Json = False,
) -> None:
    """Change where a webhook leads, or what it receives.

    \b
    Examples:
      connect webhook edit wh-5f0c2f5e9c1b4d7a --kind proven
      connect webhook edit wh-5f0c2f5e9c1b4d7a --kind "" --site ""
    """
    body = filled(url=url, description=description) | _filter(kind, site, client)
    _edit(as_json, webhook_id, body)


@app.command(short_help="Send nothing to a webhook for now.")
def pause(webhook_id: Id, as_json: Json = False) -> None:
    """Send nothing to a webhook until it is enabled again.

    \b
    Examples:
      connect webhook pause wh-5f0c2f5e9c1b4d7a
    """
    _edit(as_json, webhook_id, {"enabled": False})


@app.command(short_help="Enable a webhook: it receives what it missed.")
def enable(webhook_id: Id, as_json: Json = False) -> None:
    """Enable a webhook that is paused or disabled. It receives what it missed, also of clients that were given up; what
    waits for another attempt is tried at once.

    \b
    Examples:
      connect webhook enable wh-5f0c2f5e9c1b4d7a
    """
    _edit(as_json, webhook_id, {"enabled": True})


@app.command(short_help="Remove a webhook.")
def remove(webhook_id: Id, as_json: Json = False) -> None:
    """Remove a webhook. Nothing more is sent to it.

    \b
    Examples:
      connect webhook remove wh-5f0c2f5e9c1b4d7a
    """
    output(as_json, Service(as_json).send("DELETE", PATH, webhook_id), show.removed)


@app.command(short_help="Give a webhook another secret.")
def rotate(webhook_id: Id, as_json: Json = False) -> None:
    """Give a webhook another secret, which is shown this once. For a day the one before it signs, too.

    \b
    Examples:
      connect webhook rotate wh-5f0c2f5e9c1b4d7a
    """
    output(as_json, Service(as_json).send("POST", PATH, webhook_id, "rotate-secret"), show.secret)


@on(app, short_help="How the deliveries of a webhook went.")
def deliveries(options: ListOptions, webhook_id: Id) -> None:
    """Every attempt to deliver an event to a webhook, the newest first.

    \b
    Examples:
      connect webhook deliveries wh-5f0c2f5e9c1b4d7a --limit 20
    """
    page = Service(options.as_json).whole(PATH, webhook_id, "deliveries", most=None if options.sort else options.limit)
    show_list(options, page, show.deliveries)


@app.command(short_help="Send events again.")
def replay(
    webhook_id: Id,
    after: Annotated[int, typer.Argument(metavar="SEQ", help="Those after this one", min=0)],
    as_json: Json = False,
) -> None:
    """Send a webhook every event after this one again, under the ids that they had; to one that is paused or
    disabled, once it is enabled.

    \b
    Examples:
      connect webhook replay wh-5f0c2f5e9c1b4d7a 4711
    """
    output(as_json, Service(as_json).send("POST", PATH, webhook_id, "replay", body={"after": after}), show.webhook)


def _filter(kinds: list[str] | None, sites: list[str] | None, clients: list[str] | None) -> dict[str, list[str]]:
    """What is given of a filter, as the API takes it. One that is given as "" is empty: all pass it."""
    filters = {"kinds": kinds, "sites": sites, "clients": clients}
    return {name: [value for value in values if value] for name, values in filters.items() if values}


def _edit(as_json: bool, webhook_id: str, body: dict[str, Any]) -> None:
    output(as_json, Service(as_json).send("PATCH", PATH, webhook_id, body=body), show.webhook)
