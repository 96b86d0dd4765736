"""What is wrong is said in our words, of every field of every body, query, signal and update: never in pydantic's."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from starter.console.forms.errors import RULES, sentence
from starter.contract import bodies
from starter.errors import NoSuchClient, NoSuchPage, NoSuchSite, StarterError
from starter.web.problems import problem_of
from workflows.domain.errors import InvalidField
from workflows.domain.text import GRAMMAR
from workflows.inbox import TABLE, Malformed, interpret
from workflows.wire.grammar import PATTERNS, SENTENCES

PROSE = re.compile(
    r"Value error|Assertion|Input should|should (be|match|have)|valid (string|integer|boolean|date|list|dictionary)"
    r"|unable to|at most \d+ characters?$|pydantic|[{}]|\(\?|\^",
    re.IGNORECASE,
)
BODIES = [
    found
    for found in vars(bodies).values()
    if isinstance(found, type) and issubclass(found, BaseModel) and found.__module__ == bodies.__name__
]
WRONG: list[Any] = [
    "", "  ", "x" * 5000, "a\u200bb", "\ud800", "Ünd?", "-", "2027-02-30", "0001-01-01", "2027-03-01T09:00:00", 7, -1,
    10**40, 1.5, float("nan"), float("inf"), True, None, [], {}, [7], [None], [{}], ["x"] * 5000, {"a": [1]}, {"": ""},
    [{"number": 7, "office": 7, "protected": "no", "colour": 1}], {"kind": 7, "name": 7, "settings": {"a": 1.5}},
    {"down_mbps": 0, "up_mbps": "1", "vlan": 4095}, {"attempt": "8", "at_once": 9, "x": 1}, b"x", object(),
]  # fmt: skip


def invalid(model: type[BaseModel], value: Any) -> Iterator[ValidationError]:
    """What comes of this value in each field, of it as another field, and of it instead of an object."""
    for name in [*model.model_fields, "colour"]:
        try:
            model.model_validate({name: value})
        except ValidationError as wrong:
            yield wrong
        except InvalidField:
            pass  # has words of its own
    try:
        model.model_validate(value)
    except ValidationError as wrong:
        yield wrong
    except InvalidField:
        pass


@pytest.mark.parametrize("model", BODIES, ids=[model.__name__ for model in BODIES])
def test_every_error_of_a_request_names_field_rule_and_remedy_in_plain_english(model: type[BaseModel]) -> None:
    for value in WRONG:
        for wrong in invalid(model, value):
            errors = [{**error, "loc": ("body", *error["loc"])} for error in wrong.errors()]
            problem = problem_of(RequestValidationError(errors))
            for detail in [problem.detail, *(found["detail"] for found in problem.errors or ())]:
                assert not PROSE.search(detail), (model, value, detail)
                assert re.search(r"\. [A-Z]", detail), (model, value, detail)  # what is wrong; what to do


@pytest.mark.parametrize("name", TABLE)
def test_every_error_of_a_signal_is_in_plain_english(name: str) -> None:
    for value in WRONG:
        for field in [*TABLE[name].model_fields, "colour"]:
            sentence = ""
            try:
                interpret(name, {field: value}, GRAMMAR)
            except Malformed as refused:
                sentence = str(refused)
            assert not PROSE.search(sentence), (name, field, value, sentence)


@pytest.mark.parametrize("model", BODIES, ids=[model.__name__ for model in BODIES])
def test_every_error_beside_a_field_of_a_form_is_in_plain_english(model: type[BaseModel]) -> None:
    for value in (value for value in WRONG if isinstance(value, str)):  # a form has texts alone
        for wrong in invalid(model, value):
            for error in wrong.errors():
                name = str(error["loc"][0]) if error["loc"] else ""
                if name in RULES:
                    assert not PROSE.search(sentence(name, error).replace(str(value), "")), (model, value)


@pytest.mark.parametrize("error", [NoSuchClient("a1"), NoSuchSite("s1"), NoSuchPage()])
def test_no_message_names_a_route(error: StarterError) -> None:
    assert "/" not in str(error)
    assert re.search(r"\. [A-Z]", str(error))


def test_each_sentence_says_what_is_wrong_and_what_to_do() -> None:
    for words in [*SENTENCES.values(), *PATTERNS.values()]:
        assert words == "{field} {error}" or re.search(r"\. [A-Z]", words), words
        assert not words.endswith("."), words
