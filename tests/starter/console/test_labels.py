"""How the console says things."""

from datetime import UTC, datetime, timedelta

import pytest

from starter.console.labels import age_word
from starter.contract.catalogue import ONLY_BUILT_IN

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(seconds=5), "5 s"),
        (timedelta(minutes=62), "1 h 2 min"),
        (timedelta(days=59, hours=4), "59 d 4 h"),
        (timedelta(days=60), "2 months"),
        (timedelta(days=364), "12 months"),
        (timedelta(days=729), "24 months"),
        (timedelta(days=730), "2 years"),
        (timedelta(days=26423, hours=4), "72 years"),
    ],
)
def test_an_age_is_as_rough_as_it_is_long(ago: timedelta, said: str) -> None:
    assert age_word(NOW - ago, NOW) == said
    assert age_word(NOW + ago, NOW) == said


def test_systems_are_called_as_operators_call_them() -> None:
    titles = [ONLY_BUILT_IN.title(system) for system in ("telephony", "internet", "mail_boxes")]
    assert titles == ["Telephone lines", "Internet access", "Mail boxes"]
