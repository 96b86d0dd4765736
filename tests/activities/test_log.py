"""A line of log says which activity it comes from, is one JSON object, and gives no secret away."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Annotated

import pytest
import structlog
from asyncpg import UniqueViolationError
from fastapi.exceptions import ResponseValidationError
from pydantic import BaseModel, Field
from temporalio.testing import ActivityEnvironment

from activities.log import set_up
from tests.support.exchange import Exchange
from tests.support.waiting import http_client


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging is process-wide: put it back."""
    root = logging.getLogger()
    handlers, level, configuration = root.handlers[:], root.level, structlog.get_config()
    yield
    structlog.configure(**configuration)
    root.handlers[:], root.level = handlers, level


async def test_a_line_from_an_activity_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(json=True)

    async def work() -> None:
        structlog.get_logger("mine").info("lines_ensured", revision=7)
        logging.getLogger("theirs").warning("from %s", "elsewhere")

    await ActivityEnvironment().run(work)
    ours, theirs = map(json.loads, capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["revision"], ours["level"], ours["logger"]) == ("lines_ensured", 7, "info", "mine")
    assert (theirs["event"], theirs["level"]) == ("from elsewhere", "warning")
    assert {"workflow_id", "activity", "activity_id", "attempt", "timestamp"} <= ours.keys() & theirs.keys()


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_shows_no_local_variable(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(json=as_json)
    password = "open" + "sesame"
    try:
        raise ValueError(len(password))
    except ValueError:
        structlog.get_logger().exception("went_wrong")
        logging.getLogger("theirs").exception("went wrong")
    written = capsys.readouterr().err
    assert written.count("ValueError") >= 2
    assert "opensesame" not in written


async def test_an_address_that_was_asked_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """That of Kamailio's JSON-RPC ends in a secret."""
    set_up(json=True)
    async with Exchange() as exchange, http_client() as client:
        await client.post(f"{exchange.url}/open-sesame", json={"method": "ul.lookup", "params": ["location", "x"]})
    assert exchange.paths == {"/RPC/open-sesame"}
    assert "sesame" not in capsys.readouterr().err


class Line(BaseModel):
    number: Annotated[str, Field(pattern=r"^\+\d+$")]


SECRET = "020-7946-0001"
QUOTING: dict[str, Callable[[], object]] = {
    "pydantic": lambda: Line(number=SECRET),
    "fastapi": lambda: raise_(
        ResponseValidationError([{"type": "x", "loc": ("number",), "msg": SECRET, "input": SECRET}])
    ),
    "a row that PostgreSQL refuses": lambda: raise_(
        UniqueViolationError.new({"S": "ERROR", "C": "23505", "M": "taken", "D": f"Key (number)=({SECRET}) exists."})
    ),
}


def raise_(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("quoting", QUOTING)
def test_what_an_error_quotes_of_the_input_is_not_logged(
    quoting: str, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(json=as_json)
    try:
        try:
            QUOTING[quoting]()
        finally:
            raise RuntimeError("it went wrong while another error was on its way")
    except RuntimeError as error:
        structlog.get_logger().exception("went_wrong", error=str(error.__context__))
        logging.getLogger("theirs").exception("went wrong: %s", error.__context__)
        group = ExceptionGroup("several", [error])
        logging.getLogger("theirs").error("went wrong", exc_info=group)
    written = capsys.readouterr().err
    assert written.count("it went wrong while") >= 3
    assert SECRET not in written
