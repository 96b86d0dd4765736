"""The walls between the rooms stand, and the repository names no machine that it was made on."""

import ast
import re
import subprocess
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("workflows", "activities", "starter", "bench", "deploy")
OF_THE_COMMAND_LINE = re.compile(r"starter(\.(cli|client|sheets|telephones|wording)\b.*)?|workflows(\.domain\b.*)?")
LIBRARIES = {"httpx2", "phonenumbers", "rich", "typer", "xlsxwriter"}  # what the command line may import beside these
BIN = Path(sys.executable).parent
BANNED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"][
    "flake8-tidy-imports"
]["banned-api"]
LONGEST_FILE = 400  # lines
MACHINES = re.compile(
    r"/(?:work|home|Users|root)/\w|(?<![\w-])--(?:extra-)?index-url|pythonhosted" + r"\.org|registry\.npmjs" + r"\.org"
)


def python_files() -> list[Path]:
    return [ROOT / "worker.py", *(f for room in (*ROOMS, ".ci", "tests") for f in (ROOT / room).rglob("*.py"))]


def test_arrows_point_inward_only() -> None:
    linted = subprocess.run(
        [BIN / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    assert linted.returncode == 0, linted.stdout
    assert "0 broken" in linted.stdout


def test_no_file_is_longer_than_one_can_keep_in_mind() -> None:
    """What grows beyond it wants another room: divide it by what its parts are about."""
    lines = {str(f.relative_to(ROOT)): f.read_text(encoding="utf-8").count("\n") for f in python_files()}
    assert [name for name, count in lines.items() if count > LONGEST_FILE] == []


def test_no_packages_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("workflows", "activities", "starter", "tests", cache_dir=None)
    packages = {module for module in graph.modules if graph.find_children(module)}
    assert {"starter", "starter.console", "starter.console.pages", "workflows.domain", "tests.faults"} <= packages
    assert [circle for package in sorted(packages) if (circle := circle_in(graph, package))] == []


def test_a_circle_of_packages_is_found() -> None:
    graph = grimp.ImportGraph()
    for module in ("house", "house.a", "house.a.x", "house.a.y", "house.b", "house.b.x", "house.c"):
        graph.add_module(module)
    graph.add_import(importer="house.a.x", imported="house.b.x")
    graph.add_import(importer="house.b", imported="house.c")
    assert circle_in(graph, "house") == []
    graph.add_import(importer="house.c", imported="house.a.y")
    assert set(circle_in(graph, "house")) == {"house.a", "house.b", "house.c"}


def test_the_command_line_talks_http_like_any_other_caller() -> None:
    """But for ``processes``, which starts them. It knows the client, what words and files look like, and the domain."""
    graph = grimp.build_graph("workflows", "activities", "starter", include_external_packages=True, cache_dir=None)
    graph.remove_module("starter.cli.processes")
    modules = {"starter.cli", *graph.find_descendants("starter.cli")}
    reached = set().union(*map(graph.find_upstream_modules, modules))
    assert "starter.client.connect" in reached
    strange = {module for module in reached if not OF_THE_COMMAND_LINE.fullmatch(module)}
    assert {module.partition(".")[0] for module in strange} - sys.stdlib_module_names <= LIBRARIES


def circle_in(graph: grimp.ImportGraph, package: str) -> list[str]:
    """What lies side by side in a package and imports each other in a circle; each part counts with all that is in it.

    Every circle of modules is found so, in the innermost package that holds all of it.
    """
    parts = graph.find_children(package)
    part_of = {module: part for part in parts for module in (part, *graph.find_descendants(part))}
    imports: dict[str, set[str]] = {part: set() for part in parts}
    for module, part in part_of.items():
        reached = graph.find_modules_directly_imported_by(module)
        imports[part] |= {part_of[other] for other in reached if other in part_of} - {part}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as circle:
        return list(circle.args[1])
    return []


@pytest.mark.parametrize("name", BANNED)
def test_the_core_cannot_reach_for_what_it_must_be_given(name: str) -> None:
    use = f"import {name.split('.')[0]}\n\nx = {name}\n"
    assert "TID251" in complaints_about(use, "workflows/domain/x.py")
    assert "TID251" in complaints_about(use, "workflows/x.py")
    assert "TID251" not in complaints_about(use, "activities/x.py")


def test_nothing_is_printed_but_by_benches() -> None:
    assert "T201" in complaints_about("print(1)\n", "starter/x.py")


def test_files_are_read_and_written_in_utf8_whatever_the_locale_says() -> None:
    assert "PLW1514" in complaints_about('from pathlib import Path\n\nPath("x").read_text()\n', "starter/x.py")
    found = [
        f"{f.relative_to(ROOT)}:{n}"
        for f in python_files()
        for n in in_the_locales_encoding(f.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("path.read_text()", True),
        ("path.write_text('x')", True),
        ("open(path)", True),
        ("path.open('a')", True),
        ("run(command, text=True)", True),
        ("path.read_text(encoding='utf-8')", False),
        ("path.open('rb')", False),
        ("await browser.open('/clients')", False),
        ("os.open(path, flags)", False),
    ],
)
def test_a_text_of_the_locales_encoding_is_found(code: str, found: bool) -> None:
    assert bool(in_the_locales_encoding(code)) is found


def in_the_locales_encoding(code: str) -> list[int]:
    """Lines that open a text without saying its encoding. Ruff sees only what is a path beyond doubt.

    What is awaited opens no file.
    """
    nodes = list(ast.walk(ast.parse(code)))
    awaited = {id(node.value) for node in nodes if isinstance(node, ast.Await)}
    found = []
    for call in nodes:
        if (
            not isinstance(call, ast.Call)
            or id(call) in awaited
            or any(word.arg == "encoding" for word in call.keywords)
        ):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        mode = next((a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)), "r")
        os_open = name == "open" and ast.unparse(call.func) == "os.open"
        if name in ("read_text", "write_text") or (name == "open" and "b" not in mode and not os_open):
            found.append(call.lineno)
        if any(ast.unparse(word) == "text=True" for word in call.keywords):  # subprocess
            found.append(call.lineno)
    return found


def complaints_about(code: str, place: str) -> str:
    """What ruff says about code in a file of that name."""
    ruff = [str(BIN / "ruff"), "check", "--no-cache", "--output-format", "json", "--stdin-filename", place, "-"]
    result = subprocess.run(ruff, cwd=ROOT, input=code, capture_output=True, encoding="utf-8", check=False)
    return result.stdout


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("if system == TELEPHONY: pass", True),
        ("x = 1 if order.system != systems.INTERNET else 2", True),
        ("if 'telephony' in names: pass", True),
        ("match system:\n  case 'internet': pass", True),
        ("if system in (TELEPHONY, INTERNET): pass", True),
        ("if system == DIRECTORY: pass", False),
        ("if system in BUILT_IN: pass", False),
        ("kinds = {TELEPHONY: 1}", False),
    ],
)
def test_a_question_for_one_system_is_found(code: str, found: bool) -> None:
    assert bool(questions_for_one_system(code)) is found


def test_no_if_system_is_outside_of_the_modules_of_the_kinds() -> None:
    """What is particular to a kind is in its module, behind what all kinds have; the rest knows any number of them."""
    files = [ROOT / "worker.py", *(f for room in ("workflows", "activities") for f in (ROOT / room).rglob("*.py"))]
    found = [
        f"{f.relative_to(ROOT)}:{n}"
        for f in files
        if not {"telephony", "internet"} & {f.stem, f.parent.name}
        for n in questions_for_one_system(f.read_text(encoding="utf-8"))
    ]
    assert found == []


def questions_for_one_system(code: str) -> list[int]:
    """Lines that compare something with a system that comes with Connect."""
    return [
        node.lineno if isinstance(node, ast.Compare) else node.pattern.lineno
        for node in ast.walk(ast.parse(code))
        if (isinstance(node, ast.Compare) and any(map(names_a_system, [node.left, *node.comparators])))
        or (isinstance(node, ast.match_case) and any(map(names_a_system, ast.walk(node.pattern))))
    ]


def names_a_system(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in ("TELEPHONY", "INTERNET")
        case ast.Constant(value=value):
            return value in ("telephony", "internet")
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return any(map(names_a_system, parts))
    return False


def test_no_file_names_a_machine_or_a_registry() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    found = []
    for name in listed.stdout.split("\0"):
        if (file := ROOT / name).is_file():
            text = file.read_text(errors="replace", encoding="utf-8").replace(
                "/home/ui-server", ""
            )  # of an image, as Temporal makes it
            lines = text.splitlines()
            found += [f"{name}:{n}: {line.strip()}" for n, line in enumerate(lines, 1) if MACHINES.search(line)]
    assert [line for line in found if not line.startswith("tests/architecture/test_walls.py")] == []


def test_every_pin_has_its_hashes_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    assert " @ " not in lock
    pins = re.split(r"\n(?=\S)", lock.replace("\\\n", " ").strip())
    assert len(pins) > 40
    for pin in pins:
        assert re.match(r"[a-z0-9._\[\],-]+==\S+ ", pin), pin
        assert "--hash=sha256:" in pin, pin
