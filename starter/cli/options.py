"""The options that many commands have, each declared once, and how a command is sent with them."""

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, get_type_hints

import typer

from starter.cli.http import REFUSED, Service
from starter.cli.lines import NUMBERS
from starter.cli.show import clients
from starter.cli.show.preview import preview
from starter.cli.show.tables import output, output_csv, show_text
from starter.cli.values import filled, internet, seconds, service
from starter.sheets import flat

Id = Annotated[str, typer.Argument(metavar="ID", help="The client's id")]
Json = Annotated[bool, typer.Option("--json", help="Answer, or problem document, as JSON")]
Lines = Annotated[
    list[str] | None,
    typer.Option("--line", metavar="NUMBERS[@OFFICE]", help=f"{NUMBERS}; virtual: no @OFFICE"),
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
class Options:
    """The options that every command has."""

    as_json: Json = False


@dataclass(frozen=True, kw_only=True)
class ListOptions(Options):
    """The options of a command that shows a list. Raises BadParameter for two formats at once."""

    csv: Annotated[bool, typer.Option("--csv", help="As a CSV file, for spreadsheets")] = False
    sort: Annotated[str, typer.Option(metavar="[-]FIELD", help="By this field of --json; -FIELD: downwards")] = ""
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="The first N alone")] = None

    def __post_init__(self) -> None:
        if self.csv and self.as_json:
            raise typer.BadParameter("give one of --csv and --json")


@dataclass(frozen=True, kw_only=True)
class SendOptions(Options):
    """Of everything that is sent to be done."""

    wait: Annotated[
        Any,
        typer.Option(metavar="SECONDS", parser=seconds, help="Wait until it is done and proven; 0: not at all"),
    ] = 30
    command_id: Annotated[str, typer.Option(metavar="ID", help="The same one twice is one command")] = ""


@dataclass(frozen=True, kw_only=True)
class ChangeOptions(SendOptions):
    """The options of a command that changes a client that exists."""

    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what it would do, before and after; do nothing")] = (
        False
    )


@dataclass(frozen=True, kw_only=True)
class CommandOptions(ChangeOptions):
    """The options of a command for which a reason can be given."""

    reason: Annotated[str, typer.Option(metavar="TEXT", help="Kept in the history")] = ""


@dataclass(frozen=True, kw_only=True)
class PlanOptions(CommandOptions):
    """The options of a command that can be planned for a later moment."""

    last_day: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Plan it: the last day of the present state, inclusive, at the site"),
    ] = None
    at: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="Plan it: an instant with offset: 2099-03-31T18:00:00+01:00")
    ] = None

    def __post_init__(self) -> None:
        if self.last_day is not None and self.at is not None:
            raise typer.BadParameter("give one of --last-day and --at: each says when")


def flatten_options(function: Command) -> Command:
    """The function with an option for each field of its parameter ``options`` instead of that."""
    kind: type[Options] = get_type_hints(function)["options"]
    own = [it for it in inspect.signature(function, eval_str=True).parameters.values() if it.name != "options"]
    # those of the most special class come first in the help
    names = [name for base in kind.__mro__ for name in inspect.get_annotations(base)]
    names = list(dict.fromkeys(names))
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
    return command


def on(
    app: typer.Typer, name: str | None = None, *, short_help: str | None = None, **settings: Any
) -> Callable[[Command], Command]:
    """Add a command whose parameter ``options`` becomes an option for each field of that class. ``settings`` are those
    of its context."""

    def add(function: Command) -> Command:
        app.command(name, short_help=short_help, context_settings=settings)(flatten_options(function))
        return function

    return add


def show_list(
    options: ListOptions,
    page: dict[str, Any],
    show: Callable[[dict[str, Any]], None],
    *,
    in_order: bool = False,
    as_cells: Callable[[list[dict[str, Any]]], tuple[Sequence[str], list[list[str]]]] = flat,
) -> None:
    """A list as it was asked for. ``in_order``: the service has sorted it. ``as_cells``: its heads and rows as CSV."""
    items = page["items"]
    if options.sort and not in_order:
        items = sort_items(items, options.sort)
    items = items[: options.limit]
    if options.csv:
        output_csv(*as_cells(items))
    else:
        output(options.as_json, {**page, "items": items}, show)


def sort_items(items: list[dict[str, Any]], sort: str) -> list[dict[str, Any]]:
    """The items by one of their fields, those that lack it last."""
    name = sort.removeprefix("-").replace("-", "_")
    known = [name for name, value in items[0].items() if not isinstance(value, list | dict)] if items else [name]
    if name not in known:
        raise typer.BadParameter(f"{sort!r} is none of {', '.join(known)}", param_hint="--sort")
    present = [item for item in items if item.get(name) is not None]
    present.sort(key=lambda item: _sort_key(item[name]), reverse=sort.startswith("-"))
    return present + [item for item in items if item.get(name) is None]


def _sort_key(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


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
        show_text(then.format(**answer))
    service.finish(answer, options.wait)


def confirm(what: str, client_id: str) -> None:
    """Ask a person at a terminal to type the client's id; leave with 1 when it is not. Nobody else is asked."""
    if not (sys.stdin.isatty() and (sys.stderr.isatty() or sys.stdout.isatty())):
        return
    typer.echo(what, err=True)
    terminal = sys.stderr if sys.stderr.isatty() else sys.stdout
    terminal.write(f"Type {client_id} to go on: ")
    terminal.flush()
    if sys.stdin.buffer.readline().decode(errors="replace").strip() != client_id:
        typer.echo("Nothing was done: that is not its id.", err=True)
        raise typer.Exit(REFUSED)


def command(options: ChangeOptions, client_id: str, route: str, then: str = "", **fields: Any) -> None:
    """Send a command with its own fields, its reason, and the moment for which it is planned."""
    common = {name: getattr(options, name) for name in ("reason", "last_day", "at") if hasattr(options, name)}
    send(options, "POST", "clients", client_id, *route.split("/"), body=filled(**fields, **common), then=then)
