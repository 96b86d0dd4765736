"""``connect client``: what people say about a client: notes, tags."""

from typing import Annotated

import typer

from starter.cli.http import Service
from starter.cli.options import ChangeOptions, Id, ListOptions, on, send, show_list
from starter.cli.show import labels as show
from starter.cli.values import filled

app = typer.Typer()


@on(app, short_help="Write down what there is to say about it.")
def note(
    client_id: Id,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="At most 1000 characters")],
    options: ChangeOptions,
) -> None:
    """Write down what there is to say about a client, with your name and the time. Notes are never changed.

    \b
    Examples:
      connect client note acme "The keys are with the porter"
    """
    send(options, "POST", "clients", client_id, "notes", body={"text": text})


@on(app, short_help="What people wrote down about it.")
def notes(client_id: Id, options: ListOptions) -> None:
    """What people wrote down about a client, newest first.

    \b
    Examples:
      connect client notes acme
    """
    most = None if options.sort else options.limit
    show_list(options, Service(options.as_json).whole("clients", client_id, "notes", most=most), show.notes)


@on(app, short_help="Add and remove tags: +vip -late", ignore_unknown_options=True)
def tag(
    client_id: Id,
    tags: Annotated[list[str], typer.Argument(metavar="+TAG|-TAG…", help="+vip adds it, -late removes it")],
    options: ChangeOptions,
) -> None:
    """Add and remove tags, which lists are filtered by; others stay.

    \b
    Examples:
      connect client tag acme +vip -late
    """
    for text in tags:
        if text[:1] not in ("+", "-") or not text[1:].strip() or text.startswith("--"):
            raise typer.BadParameter(
                f"{text!r} neither adds nor removes a tag: write +vip to add it, -vip to remove it"
            )
    added, removed = ([text[1:] for text in tags if text[0] == sign] for sign in "+-")
    send(options, "PATCH", "clients", client_id, body=filled(add_tags=added, remove_tags=removed))
