"""Claims about the words that the console and the command line share."""

import pytest

from starter.wording import DAY, HOUR, MINUTE, duration_word


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (5, "5 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (62 * MINUTE, "1 h 2 min"),
     (11_520, "3 h 12 min"), (DAY, "1 d"), (100_800, "1 d 4 h"), (86_460, "1 d"), (59 * DAY + 4 * HOUR, "59 d 4 h"),
     (60 * DAY, "2 months"), (364 * DAY, "12 months"), (729 * DAY, "24 months"), (730 * DAY, "2 years"),
     (26423 * DAY + 4 * HOUR, "72 years")],
)  # fmt: skip
def test_a_duration_is_as_rough_as_it_is_long(seconds: float, words: str) -> None:
    assert duration_word(seconds) == words
