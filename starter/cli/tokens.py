"""``connect token``: API tokens, for services and people."""

from typing import Annotated, Any

import typer

from starter.cli.http import Service
from starter.cli.options import Json, ListOptions, on, show_list
from starter.cli.show.tables import Column, count, moment, note, output, show, show_text, table
from starter.cli.values import filled

TokenId = Annotated[str, typer.Argument(metavar="ID", help="The token's id, which stands after connect_")]

app = typer.Typer(no_args_is_help=True, help="API tokens: who may do what. For admins.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Stands in the history for what is done with it")],
    role: Annotated[str, typer.Option(metavar="ROLE", help="viewer, service, operator or admin")],
    site: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="It sees the clients of this site alone; more than once: of these"),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE", help="Of a service: whose holds and plans are its own; its name, if none is given"
        ),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="DATE", help="The last day on which it is valid (UTC), or an instant")
    ] = None,
    as_json: Json = False,
) -> None:
    """Create a token and print it. It is shown this once.

    \b
    Examples:
      connect token create billing --role service --expires 2099-12-31
      connect token create front-desk --role operator --site thames-house
    """
    body = filled(name=name, role=role, sites=site or None, sources=source or None, expires_at=expires)
    output(as_json, Service(as_json).send("POST", "tokens", body=body), _created)


@on(app, "list")
def list_tokens(options: ListOptions) -> None:
    """Every token that is not revoked, with its last use.

    \b
    Examples:
      connect token list
    """
    show_list(options, Service(options.as_json).get("tokens"), _tokens)


@app.command()
def revoke(token_id: TokenId, as_json: Json = False) -> None:
    """Revoke a token. Sessions of the console that were begun with it end, too.

    \b
    Examples:
      connect token revoke k3vbq2m7ae
    """
    output(as_json, Service(as_json).send("DELETE", "tokens", token_id), _revoked)


def _created(token: dict[str, Any]) -> None:
    show_text(token["token"])
    note(f"Token {token['token_id']} of {token['name']}, {_role(token)}. It is shown this once")


def _revoked(token: dict[str, Any]) -> None:
    show_text(f"Token {token['token_id']} of {token['name']} is revoked")


def _tokens(page: dict[str, Any]) -> None:
    if not page["items"]:
        show_text("No API tokens yet: connect token create NAME --role viewer")
        return
    rows = [
        [
            *(it["token_id"], it["name"], _role(it)),
            *(moment(it[name]) if it[name] else "-" for name in ("last_used_at", "expires_at")),
        ]
        for it in page["items"]
    ]
    columns = [Column("token"), Column("name", least=12), Column("role", least=12)]
    show(table([*columns, Column("last use (UTC)"), Column("expires (UTC)")], rows))
    note(count(page["total"], "token"))


def _role(token: dict[str, Any]) -> str:
    """``service for billing, at thames-house``."""
    sources = f" for {', '.join(token['sources'])}" if token["sources"] else ""
    return f"{token['role']}{sources}{', at ' + ', '.join(token['sites']) if token['sites'] else ''}"
