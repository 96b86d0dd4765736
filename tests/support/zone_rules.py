"""Zone rules of another year: what a worker has when its tzdata is older or newer than that of the first run."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from workflows.domain import dates

CASABLANCA = "Africa/Casablanca"
HOUR_AHEAD, AT_UTC = {CASABLANCA: "Etc/GMT-1"}, {CASABLANCA: "Etc/UTC"}  # before 2026, and by the law of 2026


def rules(folder: Path, version: str, zones: Mapping[str, str | None]) -> Path:
    """A tzdata of this version, made in the folder: ours, but these zones go by the rules of others, or are missing."""
    with as_file(files("tzdata")) as ours:
        shutil.copytree(ours, folder, dirs_exist_ok=True)
        for name, other in zones.items():
            place = folder / "zoneinfo" / name
            place.unlink()
            if other is not None:
                shutil.copy(ours / "zoneinfo" / other, place)
    names = (folder / "zones").read_text(encoding="utf-8").split()
    names_left = [name for name in names if zones.get(name, name) is not None]
    (folder / "zones").write_text("\n".join(names_left), encoding="utf-8")
    (folder / "zoneinfo" / "tzdata.zi").write_text(f"# version {version}\n", encoding="utf-8")
    return folder


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """These rules are those of the process, as after a start with another tzdata."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dates, "_tzdata", lambda: folder)
        _forget()
        try:
            yield
        finally:
            patch.undo()
            _forget()


def _forget() -> None:
    for read in (dates.zone_rules, dates.zone_names, dates._read):
        read.cache_clear()
