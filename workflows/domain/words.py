"""Words that people and other services give: what can be written down and read again."""

from workflows.domain.errors import InvalidField


def written(text: str, longest: int) -> bool:
    """Whether a name or label has letters, at most so many, and no control characters (line ends, NUL, …)."""
    return bool(text.strip()) and len(text) <= longest and not any(ord(c) < 32 or ord(c) == 127 for c in text)


def check_storable(text: str, field: str) -> None:
    """Raises InvalidField for text with NUL, the one character that PostgreSQL does not store."""
    if "\0" in text:
        raise InvalidField(f"The {field} contains the character NUL", "Leave it out", field=field)
