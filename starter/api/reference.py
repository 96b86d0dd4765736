"""The reference of the API at ``/docs``, rendered here from the OpenAPI document: no script, no other host."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from starter.web import problems

JSON = "application/json"

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
    shapes = _shapes(document["components"]["schemas"])
    chapters = _chapters(document, shapes)
    return HTMLResponse(page.render(api=document, chapters=chapters, shapes=shapes, kinds=problems.kinds()))


@reference.get("/docs.css")
async def style() -> Response:
    return Response(_templates.get_template("reference.css").render(), media_type="text/css")


def _chapters(document: dict[str, Any], shapes: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Every operation under its first tag, with its method and path, an address to try, and what its answers are."""
    chapters: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            entry = {"method": method, "path": path, "example": _example_of(path, operation), **operation}
            entry["shapes"] = {
                status: [name for name in shapes if f"schemas/{name}'" in str(answer.get("content", {}).get(JSON))]
                for status, answer in operation["responses"].items()
            }
            chapters.setdefault(operation["tags"][0], []).append(entry)
    return chapters


def _example_of(path: str, operation: dict[str, Any]) -> str:
    """The path with an example of each of its parameters."""
    for parameter in operation.get("parameters", ()):
        examples: list[object] = [*parameter["schema"].get("examples", ()), parameter["name"]]
        path = path.replace(f"{{{parameter['name']}}}", str(examples[0]))
    return path


def _shapes(schemas: dict[str, Any]) -> dict[str, Any]:
    """An example of each answer that there is one of; of a page, with one item."""
    shapes = {name: schema["examples"][0] for name, schema in schemas.items() if "examples" in schema}
    for name, schema in schemas.items():
        item = schema.get("properties", {}).get("items", {}).get("items", {}).get("$ref", "").rpartition("/")[2]
        if item in shapes:
            shapes[name] = {"items": [shapes[item]], "next": None, "total": 1}
    return dict(sorted(shapes.items()))
