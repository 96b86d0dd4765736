"""The options that many commands have, each declared once, and how a command is sent with them."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, get_type_hints

import typer

from starter.cli.http import Service
from starter.cli.show import clients
from starter.cli.show.preview import preview
from starter.cli.show.tables import output, say
from starter.cli.values import filled, internet, line, service

Id = Annotated[str, typer.Argument(metavar="ID", help="The client's id")]
Json = Annotated[bool, typer.Option("--json", help="Answer, or problem document, as JSON")]
Lines = Annotated[
    list[Any] | None,
    typer.Option(
        "--line", metavar="NUMBER[@OFFICE]", parser=line, help="+442079460001@3.12, once for each; virtual: no @OFFICE"
    ),
]
Services = Annotated[
    list[Any] | None,
    typer.Option(
        "--service",
        metavar="KIND:NAME[:KEY=TEXT,…]",
        parser=service,
        help="Of a further kind: doors:main-entrance:card=0472; KEY:=12 is a number, KEY:=true a yes",
    ),
]
Offices = Annotated[list[str] | None, typer.Option("--office", metavar="OFFICE", help="One without a telephone line")]
Internet = Annotated[
    Any,
    typer.Option("--internet", metavar="DOWN/UP[:VLAN]", parser=internet, help="Rates in Mbit/s: 100/20, 100/20:110"),
]


Command: TypeAlias = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class SendOptions:
    """Of everything that is sent to be done."""

    wait: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Wait until it is done and proven; 0: not at all")
    ] = 30
    command_id: Annotated[str, typer.Option(metavar="ID", help="The same one twice is one command")] = ""
    as_json: Json = False


@dataclass(frozen=True, kw_only=True)
class ChangeOptions(SendOptions):
    """Of everything that changes a client that there is."""

    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what it would do, before and after; do nothing")] = (
        False
    )


@dataclass(frozen=True, kw_only=True)
class CommandOptions(ChangeOptions):
    """Of every command that takes a reason."""

    reason: Annotated[str, typer.Option(metavar="TEXT", help="Kept in the history")] = ""


@dataclass(frozen=True, kw_only=True)
class PlanOptions(CommandOptions):
    """Of every command that can be planned."""

    last_day: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Plan it: the last day of the present state, inclusive, at the site"),
    ] = None
    at: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="Plan it: an instant with offset, 2099-03-31T18:00+01:00")
    ] = None


def on(app: typer.Typer, name: str | None = None, *, short_help: str | None = None) -> Callable[[Command], Command]:
    """Add a command whose parameter ``options`` becomes an option for each field of that class."""

    def add(function: Command) -> Command:
        kind: type[SendOptions] = get_type_hints(function)["options"]
        own = [it for it in inspect.signature(function).parameters.values() if it.name != "options"]
        # those of the most special class come first in the help
        names = [name for base in kind.__mro__ for name in inspect.get_annotations(base)]
        hints = get_type_hints(kind, include_extras=True)
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=getattr(kind, name), annotation=hints[name])
            for name in names
        ]

        @functools.wraps(function)
        def command(**arguments: Any) -> None:
            options = kind(**{name: arguments.pop(name) for name in names})
            function(**arguments, options=options)

        command.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]  # what inspect looks for
        app.command(name, short_help=short_help)(command)
        return function

    return add


def send(
    options: SendOptions, method: str, *path: str, body: dict[str, Any] | None = None, then: str = "", **query: Any
) -> None:
    """Send a command and show its answer, or what it would do; ``then`` is what a person has to do after a change."""
    service = Service(options.as_json)
    request = {"body": body, "command_id": options.command_id, **query}
    if isinstance(options, ChangeOptions) and options.dry_run:
        output(options.as_json, service.send(method, *path, dry_run="true", **request), preview)
        return
    answer = service.send(method, *path, wait=options.wait, **request)
    output(options.as_json, answer, clients.answer)
    if then and answer["changed"] and not options.as_json:
        say(then.format(**answer))
    service.finish(answer, options.wait)


def command(options: ChangeOptions, client_id: str, route: str, then: str = "", **fields: Any) -> None:
    """Send a command with its own fields, its reason, and the moment for which it is planned."""
    common = {name: getattr(options, name) for name in ("reason", "last_day", "at") if hasattr(options, name)}
    send(options, "POST", "clients", client_id, *route.split("/"), body=filled(**fields, **common), then=then)
