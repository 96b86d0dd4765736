"""The typed shapes of the Python client, made of the API's own document.

``python -m tests.architecture.shapes`` writes ``answers.py``, ``views.py`` and ``given.py`` of starter/client anew.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from types import SimpleNamespace
from typing import Any, cast

from starter.app import create_app

Schema = Mapping[str, Any]
FOLDER = Path(__file__).parents[2] / "starter" / "client"
WORDS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
ABOUT = {
    "answers": "What the service answers. There may be further fields, and further words where a comment lists them.",
    "views": "What answers are made of. There may be further fields, and further words where a comment lists them.",
    "given": "What is given to the service. What may be left out is `NotRequired`.",
}


def document() -> dict[str, Any]:
    """The OpenAPI document of the code that is here."""
    clients = SimpleNamespace(directory=SimpleNamespace(database=None))
    return create_app(cast("Any", clients), "token").openapi()


def modules(of: Schema) -> dict[str, str]:
    """The text of each module, by name."""
    schemas = of["components"]["schemas"]
    bodies, answered = (_reached(schemas, roots) for roots in (_bodies(of), _answers(of)))
    words = {name for name in answered if "properties" not in schemas[name]}
    views = _reached(schemas, {name for name in answered if name.endswith("View")} | words)
    answers = {name: _beyond(name, schemas, views, answered) for name in sorted(answered - views)}
    parts = {"views": _of(schemas, views), "answers": answers, "given": _of(schemas, bodies)}
    return {name: "\n".join(_module(name, part)) for name, part in parts.items()}


def _of(schemas: Schema, names: set[str]) -> dict[str, Schema]:
    return {name: schemas[name] for name in sorted(names)}


def _beyond(name: str, schemas: Schema, views: set[str], answered: set[str]) -> Schema:
    """The schema of an answer; where it begins as one that stands before it does, that is its ``base``."""
    fields = [*schemas[name].get("properties", {}).items()]
    before = sorted(views | {it for it in answered if it < name})
    firsts = {other: [*schemas[other].get("properties", {}).items()] for other in before}
    bases = [it for it, first in firsts.items() if 2 < len(first) < len(fields) and fields[: len(first)] == first]
    if not bases:
        return cast("Schema", schemas[name])
    base = max(bases, key=lambda it: len(firsts[it]))
    return {"base": {"$ref": f"/{base}"}, "properties": dict(fields[len(firsts[base]) :])}


def _bodies(of: Schema) -> set[str]:
    """The schemas of what is created, and what the bodies of commands hold: these are arguments of methods."""
    bodies = {_name(content["schema"]) for one in _operations(of) for content in _contents(one.get("requestBody", {}))}
    whole = {body for body in bodies if body.endswith("Given")}
    schemas = of["components"]["schemas"]
    return whole | {inner for body in bodies - whole if body for inner in _referred(schemas[body]) if inner != "Kind"}


def _answers(of: Schema) -> set[str]:
    """The schemas of what is answered to a right request; of a page of a list, that of its items."""
    schemas, found = of["components"]["schemas"], set[str]()
    for one in _operations(of):
        for status, answer in one["responses"].items():
            if status.startswith("2"):
                found |= {name for content in _contents(answer) for name in _referred(content["schema"])}
    pages = {name for name in found if "next" in schemas[name].get("properties", {})}
    return (found - pages) | {inner for page in pages for inner in _referred(schemas[page])}


def _operations(of: Schema) -> Iterator[Schema]:
    for path in of["paths"].values():
        yield from path.values()


def _contents(of: Schema) -> Iterator[Schema]:
    return (content for content in of.get("content", {}).values() if "schema" in content)


def _name(schema: Schema) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _referred(schema: Any) -> set[str]:
    """The names of the schemas that one refers to, at any depth of its own."""
    if isinstance(schema, Mapping):
        return {_name(schema)} - {""} | {name for value in schema.values() for name in _referred(value)}
    return {name for value in schema for name in _referred(value)} if isinstance(schema, list) else set()


def _reached(schemas: Schema, roots: set[str]) -> set[str]:
    reached, new = set[str](), roots
    while new := new - reached:
        reached |= new
        new = {inner for name in new for inner in _referred(schemas[name])}
    return reached


def _module(name: str, schemas: Schema) -> Iterator[str]:
    shapes = {each: schema for each, schema in schemas.items() if "properties" in schema}
    classes = [[*_class(each, schema, bodies=name == "given")] for each, schema in shapes.items()]
    body = "\n".join(line for lines in classes for line in lines)
    names = [word for word in ("Any", "NotRequired", "TypedDict") if word in body]
    yield f'"""{ABOUT[name]}\n\nMade by tests/architecture/shapes.py.\n"""'
    yield "\nfrom __future__ import annotations\n"
    yield f"from typing import {', '.join(names)}"
    if imported := sorted({name for schema in schemas.values() for name in _referred(schema)} - {*schemas}):
        yield "\nfrom .views import (\n" + "".join(f"    {other},\n" for other in imported) + ")"
    yield from (f"\n{_words(schema)}{each} = str" for each, schema in schemas.items() if each not in shapes)
    yield from ("\n".join(["", *lines]) for lines in classes)
    yield ""


def _class(name: str, schema: Schema, *, bodies: bool) -> Iterator[str]:
    needed = schema.get("required", ())
    yield f"\nclass {name}({_name(schema.get('base', {})) or 'TypedDict'}):"
    for field, of in schema["properties"].items():
        kind = _type(of)
        yield f"{_words(of, '    ')}    {field}: {f'NotRequired[{kind}]' if bodies and field not in needed else kind}"


def _words(schema: Schema, indent: str = "") -> str:
    """A comment with the words of a list, since there may be more of them one day."""
    text = ", ".join(word or '""' for word in schema.get("enum", ()))
    return "".join(
        f"{line}\n" for line in wrap(text, 118, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
    )


def _type(schema: Schema) -> str:
    if name := _name(schema):
        return name
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " | ".join(dict.fromkeys(map(_type, choices)))
    match schema.get("type"):
        case "array":
            return f"list[{_type(schema['items'])}]"
        case "object":
            of = schema.get("additionalProperties")
            return f"dict[str, {_type(of) if isinstance(of, Mapping) else 'Any'}]"
        case kind:
            return WORDS.get(str(kind), "Any")


if __name__ == "__main__":
    for module, text in modules(document()).items():
        (FOLDER / f"{module}.py").write_text(text, encoding="utf-8")
