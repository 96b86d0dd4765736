"""How the console says things."""

from datetime import UTC, datetime, timedelta

from starter.console.labels import age_word
from starter.contract.catalogue import ONLY_BUILT_IN

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def test_an_age_is_the_same_before_and_after() -> None:
    assert age_word(NOW - timedelta(minutes=62), NOW) == age_word(NOW + timedelta(minutes=62), NOW) == "1 h 2 min"


def test_systems_are_called_as_operators_call_them() -> None:
    titles = [ONLY_BUILT_IN.title(system) for system in ("telephony", "internet", "mail_boxes")]
    assert titles == ["Telephone lines", "Internet access", "Mail boxes"]
