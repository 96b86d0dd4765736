"""Secrets that an operator gives: in a setting, or in the file that the setting beside it names."""

from pathlib import Path

from pydantic import SecretStr


def read_secret(value: SecretStr | None, file: Path | None, settings: str, shortest: int = 16) -> str:
    """The value, or else what the file holds. Raises ValueError, which names the ``settings`` and shows nothing of the
    secret, for one that is short or no text."""
    try:
        text = value.get_secret_value() if value else file.read_text(encoding="utf-8").strip() if file else ""
    except UnicodeDecodeError:
        raise ValueError(f"{file} holds no text: it is not the file for {settings}, or damaged") from None
    if len(text) < shortest:
        raise ValueError(f"Set {settings} to at least {shortest} characters")
    return text
