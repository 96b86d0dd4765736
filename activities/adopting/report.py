"""Lists of what was found, with their count, short enough to be read."""

from collections.abc import Sequence

MOST_LISTED = 10


def first_lines(what: str, things: Sequence[str]) -> list[str]:
    """A line that says how many there are and what that means, and a line for each of the first few."""
    if not things:
        return []
    more = [f"  and {len(things) - MOST_LISTED} more"] if len(things) > MOST_LISTED else []
    return [f"{len(things)} {what}", *(f"  {thing}" for thing in things[:MOST_LISTED]), *more]
