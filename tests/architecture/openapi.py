"""What of an OpenAPI document another one breaks, for who was written against it: ``breaks(old, new)``.

A request that was allowed stays allowed; what an answer always had, it has. What is added breaks nobody, and neither do
new words of a list in an answer: callers were told that there may be more (docs/integrating.md).
"""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
METHODS = ("get", "put", "post", "delete", "patch")
LOWER = {"minLength": 0.0, "minItems": 0.0, "minProperties": 0.0}  # what it is where nothing is said
LOWER |= dict.fromkeys(("minimum", "exclusiveMinimum"), float("-inf"))
UPPER = ("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties")


def breaks(old: Schema, new: Schema) -> list[str]:
    """Each thing that a caller of ``old`` can no longer count on."""
    return [*Comparison(old, new).breaks()]


class Comparison:
    """Two documents, whose references are followed."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new

    def breaks(self) -> Iterator[str]:
        for path, operations in self._old["paths"].items():
            for method in METHODS:
                if method not in operations:
                    continue
                where, now = f"{method.upper()} {path}", self._new["paths"].get(path, {}).get(method)
                if now is None:
                    yield f"{where} is gone"
                else:
                    yield from self._operation(where, operations[method], now)

    def _operation(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        before, after = ({(it["in"], it["name"].lower()): it for it in one.get("parameters", ())} for one in (old, new))
        for key, parameter in before.items():
            if key not in after:
                yield f"{where}: {key[1]} is gone"
            else:
                yield from self._request(f"{where}: {key[1]}", parameter["schema"], after[key]["schema"])
        for key, parameter in after.items():
            if parameter.get("required") and not before.get(key, {}).get("required"):
                yield f"{where}: {key[1]} is required now"
        if "requestBody" in old and "requestBody" not in new:
            yield f"{where}: it takes no body any more"
        elif "requestBody" in new:
            if new["requestBody"].get("required") and not old.get("requestBody", {}).get("required"):
                yield f"{where}: a body is required now"
            if "requestBody" in old:
                yield from self._request(f"{where}: body", _content(old["requestBody"]), _content(new["requestBody"]))
        for status, answer in old["responses"].items():
            if status not in new["responses"]:
                yield f"{where}: {status} is not described any more"
            else:
                for media in {*answer.get("content", ())} - {*new["responses"][status].get("content", ())}:
                    yield f"{where}: {status} is not {media} any more"
                yield from self._answer(f"{where}: {status}", _content(answer), _content(new["responses"][status]))

    def _request(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        """What was allowed by ``old``, and is not by ``new``."""
        yield from self._kinds(where, old, new, self._narrower)

    def _answer(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        """What an answer by ``old`` always had, and one by ``new`` need not have; and what it never was."""
        yield from self._answered_kinds(where, old, new, self._poorer)

    def _answered_kinds(self, where: str, old: Schema, new: Schema, differ: Any) -> Iterator[str]:
        """As ``_kinds``, and no alternative of another type comes, such as null."""
        yield from self._kinds(where, old, new, differ)
        before = {one.get("type") for one in self._alternatives(old, self._old)}
        for one in self._alternatives(new, self._new) if None not in before else ():
            if one.get("type") not in before:
                yield f"{where}: it may be {one.get('type', 'anything')} now"

    def _kinds(self, where: str, old: Schema, new: Schema, differ: Any) -> Iterator[str]:
        """Each alternative of the old schema needs one of the new schema that breaks nothing."""
        after = self._alternatives(new, self._new)
        for before in self._alternatives(old, self._old):
            found = [[*differ(where, before, one)] for one in after if one.get("type") == before.get("type")]
            if not found:
                yield f"{where}: {before.get('type', 'anything')} is gone"
            elif [] not in found:
                yield from min(found, key=len)

    def _alternatives(self, schema: Schema, document: Schema) -> list[Schema]:
        """The schemas one of which holds, without references."""
        while "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        several = schema.get("anyOf") or schema.get("oneOf")
        if not several:
            return [schema]
        return [one for it in several for one in self._alternatives(it, document)]

    def _narrower(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        if (words := _words(new)) and (gone := {*(_words(old) or ("anything else",))} - {*words}):
            yield f"{where}: {', '.join(map(str, sorted(gone)))} is not allowed any more"
        for name, least in LOWER.items():
            if new.get(name, least) > old.get(name, least):
                yield f"{where}: {name} is {new[name]} now"
        for name in UPPER:
            if name in new and new[name] < old.get(name, float("inf")):
                yield f"{where}: {name} is {new[name]} now"
        if "pattern" in new and new["pattern"] != old.get("pattern"):
            yield f"{where}: it must match {new['pattern']} now"
        for name in {*new.get("required", ())} - {*old.get("required", ())}:
            yield f"{where}: {name} is required now"
        if new.get("additionalProperties") is False and old.get("additionalProperties", True) is not False:
            yield f"{where}: unknown fields are refused now"
        yield from self._members(where, old, new, self._narrower, closed=new.get("additionalProperties") is False)

    def _poorer(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        for name in {*old.get("required", ())} - {*new.get("required", ())}:
            yield f"{where}: {name} may be missing now"
        yield from self._members(where, old, new, self._poorer, closed=True)

    def _members(self, where: str, old: Schema, new: Schema, differ: Any, *, closed: bool) -> Iterator[str]:
        for name, schema in old.get("properties", {}).items():
            if name in new.get("properties", {}):
                yield from self._inside(f"{where}.{name}", schema, new["properties"][name], differ)
            elif closed:
                yield f"{where}.{name} is gone"
        for name in ("items", "additionalProperties"):
            if isinstance(old.get(name), Mapping) and isinstance(new.get(name), Mapping):
                yield from self._inside(f"{where}[]", old[name], new[name], differ)

    def _inside(self, where: str, old: Schema, new: Schema, differ: Any) -> Iterator[str]:
        kinds = self._answered_kinds if differ == self._poorer else self._kinds
        yield from kinds(where, old, new, differ)


def _words(schema: Schema) -> list[Any]:
    """The only values that are allowed; empty: there is no list of them."""
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def _content(message: Schema) -> Schema:
    """The schema of a body; one that allows anything where none is described."""
    kinds = message.get("content", {}).values()
    schema: Schema = next((it["schema"] for it in kinds if "schema" in it), {})
    return schema
