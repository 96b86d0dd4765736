"""The reference of the API at ``/docs``, rendered here from the OpenAPI document: no script, no other host."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from starter.web import problems

reference = APIRouter(include_in_schema=False)

_templates = Environment(
    loader=PackageLoader("starter.api"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@reference.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    document = request.app.openapi()
    page = _templates.get_template("reference.html")
    return HTMLResponse(page.render(api=document, groups=_groups(document), kinds=problems.kinds()))


@reference.get("/docs.css")
async def style() -> Response:
    return Response(_templates.get_template("reference.css").render(), media_type="text/css")


def _groups(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Every operation under its first tag, with what the page shows of it."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            shown = {
                "description": "",
                "parameters": [],
                **operation,
                "method": method.upper(),
                "path": path,
                "fields": _fields(document, body.get("schema", {})),
                "examples": [example["value"] for example in body.get("examples", {}).values()],
            }
            groups.setdefault(operation["tags"][0], []).append(shown)
    return groups


def _fields(document: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    resolved = _resolved(document, schema)
    required = resolved.get("required", [])
    return [
        {
            "name": name,
            "type": _type(document, field),
            "required": name in required,
            "description": field.get("description", ""),
        }
        for name, field in resolved.get("properties", {}).items()
    ]


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def _type(document: dict[str, Any], schema: dict[str, Any]) -> str:
    """A schema in a few words: ``array of LineGiven``, ``string (date) or null``."""
    if "$ref" in schema:
        named = _resolved(document, schema)
        return " or ".join(named["enum"]) if "enum" in named else str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_type(document, one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"array of {_type(document, schema.get('items', {}))}"
    if "const" in schema:
        return f'"{schema["const"]}"'
    kind = str(schema.get("type", "any"))
    return f"{kind} ({schema['format']})" if "format" in schema else kind
