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
    return HTMLResponse(page.render(api=document, chapters=_chapters(document), kinds=problems.kinds()))


@reference.get("/docs.css")
async def style() -> Response:
    return Response(_templates.get_template("reference.css").render(), media_type="text/css")


def _chapters(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Every operation under its first tag, with its method and path."""
    chapters: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            chapters.setdefault(operation["tags"][0], []).append({"method": method, "path": path, **operation})
    return chapters
