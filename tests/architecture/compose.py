"""docker-compose.yml as Docker would read it, and what of the Compose Specification it uses, as a JSON schema.

No package on PyPI has the specification's own schema in a current form. This one is stricter: it knows what we use, and
no more.
"""

import re
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ENV_EXAMPLE = ROOT / ".env.example"
_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>[A-Z0-9_]+)(?::-(?P<default>[^}]*)|:\?(?P<why>[^}]*))?\})")


def variables() -> dict[str, str]:
    """What .env.example offers; an empty value is a secret to be filled in."""
    lines = [line for line in ENV_EXAMPLE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def used_variables() -> set[str]:
    """Every variable that the file asks for."""
    return {found["name"] for found in _VARIABLE.finditer(_text()) if found["name"]}


def compose() -> dict[str, Any]:
    """The file with its variables put in; secrets are the word ``filled``."""
    return deepcopy(_compose())


@cache
def _compose() -> dict[str, Any]:
    values = {name: value or "filled" for name, value in variables().items()}

    def value(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else values.get(found["name"], found["default"] or "")

    loaded: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(value, _text()))
    return loaded


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def _text() -> str:
    return (ROOT / "docker-compose.yml").read_text(encoding="utf-8")


def _closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


_text_ = {"type": "string", "minLength": 1}
_words = {"type": "array", "items": _text_, "minItems": 1}
_duration = {"type": "string", "pattern": r"^(\d+(ms|s|m|h))+$"}
_health = _closed(
    {
        "test": {**_words, "prefixItems": [{"enum": ["CMD", "CMD-SHELL"]}], "minItems": 2},
        "interval": _duration,
        "timeout": _duration,
        "start_period": _duration,
        "retries": {"type": "integer", "minimum": 1},
    },
    *("test", "interval", "timeout", "retries"),
)
_needs = {"enum": ["service_started", "service_healthy", "service_completed_successfully"]}
_size = {"type": "string", "pattern": "^[0-9]+[kmg]b?$"}
_service = _closed(
    {
        "user": {"type": "string", "pattern": r"^\d+:\d+$"},
        "read_only": {"type": "boolean"},
        "tmpfs": {**_words, "items": {"pattern": r"^/[a-z/-]+(:(uid|gid|mode)=\d+(,(uid|gid|mode)=\d+)*)?$"}},
        "cap_drop": {"const": ["ALL"]},
        "cap_add": {**_words, "items": {"pattern": "^[A-Z_]+$"}},
        "security_opt": {"const": ["no-new-privileges:true"]},
        "pids_limit": {"type": "integer", "minimum": 1},
        "mem_limit": _size,
        "cpus": {"type": "number", "exclusiveMinimum": 0},
        "logging": _closed(
            {"driver": {"const": "local"}, "options": _closed({"max-size": _size, "max-file": _text_}, "max-size")},
            *("driver", "options"),
        ),
        "networks": {
            "anyOf": [
                _words,
                {"type": "object", "additionalProperties": _closed({"aliases": _words})},
            ]
        },
        "image": _text_,
        "build": {"anyOf": [_text_, _closed({"context": _text_, "dockerfile": _text_}, "context")]},
        "init": {"type": "boolean"},
        "restart": {"type": "string", "pattern": "^(no|always|unless-stopped|on-failure(:[0-9]+)?)$"},
        "shm_size": {"type": "string", "pattern": "^[0-9]+[kmg]b$"},
        "entrypoint": _words,
        "command": _words,
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "secrets": _words,
        "volumes": _words,
        "ports": {**_words, "items": {"pattern": r"^[0-9.]+:\d+:\d+(/udp)?$"}},
        "healthcheck": _health,
        "depends_on": {"type": "object", "additionalProperties": _closed({"condition": _needs}, "condition")},
        "deploy": _closed({"replicas": {"type": "integer", "minimum": 1}}),
        "stop_grace_period": _duration,
    },
    *("image", "restart"),
)
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **_closed(
        {
            "name": _text_,
            "services": {"type": "object", "additionalProperties": _service},
            "networks": {"type": "object", "additionalProperties": _closed({"internal": {"type": "boolean"}})},
            "secrets": {"type": "object", "additionalProperties": _closed({"file": _text_}, "file")},
            "volumes": {"type": "object", "additionalProperties": {"type": "null"}},
        },
        *("name", "services", "networks", "secrets", "volumes"),
    ),
    "patternProperties": {"^x-": {}},
}
