"""Examples of the OpenAPI document, from ``examples.json``. The tests hold them against the schemas, and send them."""

import json
from importlib.resources import files
from typing import Any

from pydantic import BaseModel

from workflows.wire.views import ClientView

_FILE = json.loads(files("starter.api").joinpath("examples.json").read_text(encoding="utf-8"))

CLIENT: dict[str, Any] = ClientView(**_FILE["answers"]["ClientView"]).with_actions().model_dump(mode="json")
ANSWERS: dict[str, dict[str, Any]] = _FILE["answers"] | {
    "ClientView": CLIENT,
    "CommandAnswer": {**CLIENT, "changed": True, "message": "Suspended by billing"},
}


def of_body(body: type[BaseModel]) -> dict[str, Any]:
    """The examples of a body, as FastAPI takes them."""
    named: dict[str, Any] = _FILE["bodies"][body.__name__]
    return {name: {"summary": name.replace("_", " ").capitalize(), "value": value} for name, value in named.items()}
