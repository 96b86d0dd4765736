"""The documents are true where a program can tell: commands, files, settings, names and links in them exist."""

import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from activities.settings import Settings
from starter.cli.main import app

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, ROOT / "SECURITY.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
TYPED = ROOT / "docs/tour.md"  # tests/tour/test_tour.py types its console blocks
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"<!-- (?:example: \S.*|run by (\S+)) -->\n\Z")
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
LINK = re.compile(r"(?:\]\(|src=\"|srcset=\")([^)\"]+)")
NAME = re.compile(r"[A-Z][a-z]+[A-Z]\w+|[A-Z][A-Z0-9]*_[A-Z0-9_]+[A-Z0-9]")
FILE = re.compile(r"[\w.*/-]+\.(?:py|md|yml|html|js|css|toml|cfg|conf|sql|lock|sh)")
SETTINGS_PREFIXES = ("TEMPORAL_", "CONNECT_")  # names of Temporal's, and settings, which are looked up apart
FOREIGN_NAMES = {"LibreOffice", "EventSource", "OurExchange"}  # of other programs, and an example
FOREIGN_FILES = {"temporal.toml", "rpc-path.cfg", "mods-config/sql/main/postgresql/queries.conf"}

page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@cache
def tracked() -> frozenset[str]:
    """Every file of the repository, and every folder with a slash behind it."""
    found = [
        file
        for file in ROOT.rglob("*")
        if not re.search(r"/(\.venv|\.git|\.[a-z_]+_cache|__pycache__|node_modules)/", f"{file}/")
    ]
    return frozenset(f"{file.relative_to(ROOT)}{'/' if file.is_dir() else ''}" for file in found)


@cache
def words() -> frozenset[str]:
    """Every word of all that is no document."""
    files = [ROOT / name for name in tracked() if re.search(r"\.(py|yml|sql|cfg|conf|sh|toml|example)$", name)]
    texts = (file.read_text(encoding="utf-8") for file in files if file != Path(__file__))
    return frozenset(word for text in texts for word in re.findall(r"\w+", text))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def spans(page: Path) -> list[str]:
    """What stands in backticks outside of blocks, each on one line."""
    return [" ".join(span.split()) for span in SPAN.findall(FENCE.sub("", text_of(page)))]


def typed_lines(page: Path) -> list[str]:
    """Every line of a block that somebody would type."""
    lines = []
    for language, block in FENCE.findall(text_of(page)):
        whole = block.replace("\\\n", " ").splitlines()
        if language == "console":
            lines += [line.removeprefix("$ ") for line in whole if line.startswith("$ ")]
        elif language == "sh":
            lines += whole
    return lines


def commands(page: Path, program: str) -> list[list[str]]:
    """Every call of a program in a page, as its arguments."""
    found = []
    for text in (*spans(page), *typed_lines(page)):
        for part in re.split(r"[|;]", text.replace("…", "")):
            if part.split()[:1] and re.fullmatch(rf"(?:\S*/)?{program}", part.split()[0]):
                found.append(shlex.split(part, comments=True)[1:])
    return found


def test_the_readme_is_short() -> None:
    assert len(text_of(README).splitlines()) <= 150


@page
def test_every_block_of_commands_is_typed_by_a_test_or_marked(page: Path) -> None:
    text = text_of(page)
    for block in FENCE.finditer(text):
        if block[1] not in ("console", "sh", "bash") or (page == TYPED and block[1] == "console"):
            continue
        mark = MARK.search(text[: block.start()])
        assert mark, f"say before this block `<!-- run by TEST -->` or `<!-- example: WHY -->`:\n{block[0]}"
        assert mark[1] is None or mark[1] in tracked(), f"there is no {mark[1]}"


def test_a_block_without_a_mark_is_found() -> None:
    assert not MARK.search("Type this:\n\n")
    assert not MARK.search("<!-- example: -->\n")
    assert not MARK.search("<!-- example: a page away -->\nType this:\n\n")
    assert MARK.search("<!-- example: needs a telephone -->\n")
    assert MARK.search("<!-- run by tests/tour/test_tour.py -->\n")


@page
def test_every_command_of_connect_exists_with_its_options(page: Path) -> None:
    for arguments in commands(page, "connect"):
        complaint = wrong_with(arguments)
        assert not complaint, f"connect {' '.join(arguments)}: {complaint}"


@pytest.mark.parametrize("wrong", ["client rename acme", "client show acme --colour", "up --telephony"])
def test_a_command_that_does_not_exist_is_found(wrong: str) -> None:
    assert wrong_with(wrong.split())


def wrong_with(arguments: list[str]) -> str:
    """What is wrong with a call of Connect's command line: a command or an option that it has not."""
    command: Any = typer.main.get_command(app)
    rest = list(arguments)
    while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
        if rest[0] not in command.commands:
            return f"no command {rest[0]}"
        command = command.commands[rest.pop(0)]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in {*known, "--help"}]
    return f"no option {unknown[0]}" if unknown else ""


@page
def test_every_make_target_exists(page: Path) -> None:
    for target, *variables in commands(page, "make"):
        dry = ["make", "--dry-run", "--always-make", target]
        run = subprocess.run(dry, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
        assert run.returncode == 0, run.stderr
        if target == "run":
            assert "connect up" in run.stdout
            for variable in variables:
                assert not wrong_with(["up", *shlex.split(variable.removeprefix("ARGS="))])


@page
def test_every_file_exists(page: Path) -> None:
    rooms = {name.partition("/")[0] for name in tracked()}
    for span in spans(page):
        if span in FOREIGN_FILES or span.startswith("."):
            continue
        if span.partition("/")[0] in rooms and re.fullmatch(r"[\w.*/-]+", span) and "/" in span:
            assert any(ROOT.glob(span.rstrip("/"))), span
        elif FILE.fullmatch(span):
            assert any(name == span or name.endswith(f"/{span}") for name in tracked()), span


@page
def test_every_setting_and_name_of_the_code_exists(page: Path) -> None:
    settings = {f"CONNECT_{field.upper()}" for field in Settings.model_fields} | {"CONNECT_URL"}  # the command line's
    for name, more in re.findall(r"\b(CONNECT_[A-Z_]*[A-Z])(_…)?", text_of(page)):
        begins = any(setting.startswith(f"{name}_") for setting in settings)
        assert begins if more else name in settings, f"there is no setting {name}{more}"
    for name in spans(page):
        if NAME.fullmatch(name) and name not in FOREIGN_NAMES and not name.startswith(SETTINGS_PREFIXES):
            assert name in words(), f"there is no {name}"


def test_a_step_of_a_typical_change_names_the_files_in_which_its_classes_and_tables_are() -> None:
    changes = text_of(ROOT / "docs" / "design.md").partition("## Twelve typical changes")[2].partition("\n## ")[0]
    steps = [
        SPAN.findall(step) for step in re.findall(r"^\d\. (.+?)(?=\n\d\. |\n\n)", changes, re.MULTILINE | re.DOTALL)
    ]
    assert len(steps) > 50
    for step in steps:
        code = "".join(text_of(ROOT / span) for span in step if span.endswith(".py") and "/" in span)
        for name in step:
            if code and re.fullmatch("_?[A-Z]\\w+|_\\w+", name):
                assert re.search(rf"\b{name}\b", code), f"{name} is in none of {step}"


@page
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", text_of(page))):
        if "://" in link:
            continue
        place, _, anchor = link.partition("#")
        there = (page.parent / place) if place else page
        assert there.exists(), link
        assert not anchor or anchor in anchors(there), f"{there.name} has no heading {anchor}"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_no_sentence_stands_twice() -> None:
    counted = Counter(sentence for page in PAGES for sentence in set(sentences(text_of(page))))
    within = [sentence for page in PAGES for sentence, n in Counter(sentences(text_of(page))).items() if n > 1]
    assert [*within, *(sentence for sentence, n in counted.items() if n > 1)] == []


def sentences(text: str) -> Iterator[str]:
    """The sentences of at least eight words, without their marks; a cell of a table is one, too."""
    prose = re.sub(r"<!--.*?-->|<[^>]+>", "", FENCE.sub("\n\n", text), flags=re.DOTALL)
    for paragraph in re.split(r"\n\s*\n|\n(?=[-|#] ?)|\|", prose):
        for sentence in re.split(r"(?<=[.!?:;])\s+", " ".join(paragraph.split())):
            words = re.findall(r"\w+", sentence.lower())
            if len(words) >= 8:
                yield " ".join(words)
