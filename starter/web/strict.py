"""Requests to the API say what they mean: of what it does not know, or is said twice, nothing is done.

A parameter that is only nearly one (``dryrun``), or a name that is in an object of JSON twice, would otherwise be left
out without a word, and the command done.
"""

import json
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from starter.web.problems import LONGEST_NAME
from starter.web.security import SAFE_METHODS
from workflows.domain.errors import InvalidField

Json = dict[str, Any]


def check_parameters(request: Request) -> None:
    """Raises InvalidField for a parameter of the query that is there twice, or that a route which may change something
    does not take; those that list say so themselves."""
    given = Counter(name for name, _ in request.query_params.multi_items())
    known = set(_names(request.scope["route"].dependant)) if given else set()
    for name, times in given.items():
        shown = name[:LONGEST_NAME]
        if name not in known and request.method not in SAFE_METHODS:
            raise InvalidField(f"There is no parameter {shown}", "Leave it out, or correct its name", field=shown)
        if times > 1:
            raise InvalidField(f"{shown} is there more than once", "Give it once", field=shown)


def _names(dependant: Dependant) -> Iterator[str]:
    for parameter in dependant.query_params:
        kind = parameter.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from kind.model_fields
        else:
            yield parameter.alias
    for below in dependant.dependencies:
        yield from _names(below)


class StrictRoute(APIRoute):
    """A route whose body, if it takes one, is read as ``read_json`` does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_Strict(request.scope, request.receive))

        return handle_strictly


class _Strict(Request):
    async def json(self) -> Any:
        return read_json(await self.body())


def read_json(body: bytes) -> Any:
    """A JSON text (RFC 8259). Raises JSONDecodeError, whose ``msg`` says why it is none, also for a name that is
    twice in an object, of which every reader makes something else."""
    try:
        return json.loads(body.decode("utf-8-sig"), object_pairs_hook=_each_once)
    except json.JSONDecodeError:
        raise
    except UnicodeDecodeError:
        why = "it is not encoded as UTF-8"
    except RecursionError:
        why = "it is nested too deeply"
    except ValueError:
        why = "it has a number of too many digits"
    raise _unread(why)


def _each_once(pairs: list[tuple[str, Any]]) -> Json:
    found: Json = {}
    for name, value in pairs:
        if name in found:
            raise _unread(f"{name[:LONGEST_NAME]} is twice in one object")
        found[name] = value
    return found


def _unread(why: str) -> json.JSONDecodeError:
    return json.JSONDecodeError(why, "", 0)
