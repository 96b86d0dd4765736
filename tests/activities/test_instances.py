"""A file names further instances and kinds; what is wrong in it is said, and the rest holds."""

from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from activities.instances import JSON_FURTHER, RESERVED, Instances
from activities.settings import KAMAILIO, Settings
from activities.watch import matters
from starter.contract.answers import Attention
from workflows.domain.answers import CREATE
from workflows.domain.lifecycle import Kind, Status
from workflows.domain.preview import Thing
from workflows.domain.provisioning.provisioning import Provisioned
from workflows.domain.systems import DIRECTORY, SystemInstance
from workflows.inbox import TABLE
from workflows.wire.views import SystemStanding

TAKEN = (
    "workflow",
    "directory",
    "settled",
    "suspended",
    "inactive",
    "mark-done",
    "report_drift",
    "all",
    "client",
    "main",
)
DOORS = '[doors]\ntitle = "Doors"\nin_building = true\n[doors.main]\nurl = "https://doors.example/v1"\n'


def instances_of(tmp_path: Path, text: str, **settings: object) -> Instances:
    """What a file with this text names."""
    file = tmp_path / "systems.toml"
    file.write_text(text, encoding="utf-8")
    values = {"directory_dsn": "postgresql://there/connect", "telephony_dsn": "postgresql://there/kamailio"}
    return Instances.of(Settings.model_validate({**values, "systems_file": file, **settings}))


def test_without_a_file_there_are_the_two_kinds_and_their_main_instances() -> None:
    found = Instances.of(Settings.model_validate({"directory_dsn": "postgresql://there/connect"}))
    assert [*found.kinds] == ["telephony", "internet"]
    assert [*found.instances] == [("telephony", "main"), ("internet", "main")]
    assert found.problems == ()


def test_a_further_kind_has_its_title_and_an_address(tmp_path: Path) -> None:
    found = instances_of(tmp_path, DOORS)
    assert (found.kinds["doors"].title, found.kinds["doors"].in_building) == ("Doors", True)
    main = found.instances[SystemInstance("doors", "main")]
    assert (main.url, main.adapter) == ("https://doors.example/v1", JSON_FURTHER)


def test_an_instance_has_its_own_address_and_nothing_of_the_main_one(tmp_path: Path) -> None:
    london = '[telephony.london]\ndsn = "postgresql://london/kamailio"\nsip_domain = "london.example"\n'
    found = instances_of(tmp_path, london, sip_rpc_urls="http://main:5060/RPC", attempt_seconds=90)
    instance = found.instances[SystemInstance("telephony", "london")]
    assert (instance.dsn, instance.adapter) == ("postgresql://london/kamailio", KAMAILIO)
    assert instance.settings.sip_domain == "london.example"
    assert instance.settings.sip_rpc_urls.get_secret_value() == "", "calls of London are not looked up at the main one"
    assert instance.settings.attempt_seconds == 90, "how long things may take is the worker's"
    assert found.names_of("telephony") == ["main", "london"]
    assert found.instances[SystemInstance("telephony", "main")].dsn == "postgresql://there/kamailio"


def test_a_worker_serves_all_that_is_named_or_what_its_setting_leaves_to_it(tmp_path: Path) -> None:
    text = f'{DOORS}\n[doors.annex]\nurl = "https://annex.example/v1"\n[telephony.london]\ndsn = "postgresql://l/k"\n'
    everything = ["telephony:main", "internet:main", "doors:main", "doors:annex", "telephony:london"]
    assert served(instances_of(tmp_path, text)) == everything
    assert served(instances_of(tmp_path, text, serves="telephony:london, doors:*")) == everything[2:]
    found = instances_of(tmp_path, text, serves="telephony:paris,internet:main")
    assert served(found) == ["internet:main"]
    (problem,) = found.problems
    assert problem == f"CONNECT_SERVES: 'telephony:paris' is no instance. Name some of {', '.join(everything)}"


def test_a_setting_of_an_instance_is_called_as_it_stands_in_the_file(tmp_path: Path) -> None:
    found = instances_of(tmp_path, DOORS).instances
    assert found[SystemInstance("telephony")].setting("dsn") == "CONNECT_TELEPHONY_DSN"
    assert found[SystemInstance("internet")].setting("token") == "CONNECT_JSON_INTERNET_TOKEN"
    assert found[SystemInstance("doors")].setting("url") == f"url of [doors.main] in {tmp_path / 'systems.toml'}"


def served(found: Instances) -> list[str]:
    return [f"{key.system}:{key.name}" for key in found.served]


@pytest.mark.parametrize(
    ("text", "place", "remedy"),
    [
        ("[doors", "cannot be read", "Correct the file"),
        ("doors = 1", "doors is no table", "[doors.main]"),
        ("[directory.main]\nurl = 'https://x'", "directory cannot be the name of a kind", "another name"),
        ("[Doors.main]\nurl = 'https://x'", "Doors cannot be the name of a kind", "small letters"),
        *[
            (f"[{word}.main]\nurl = 'https://x'", f"{word} cannot be the name of a kind: Connect needs", "another name")
            for word in TAKEN
        ],
        (
            "[wi-fi.main]\nurl = 'https://x'\n[wi_fi.main]\nurl = 'https://y'",
            "wi_fi differs from wi-fi in - and _",
            "another",
        ),
        (
            "[gates.title]\nurl = 'https://x'\n[gates.main]\nurl = 'https://x'",
            "title is a setting of the kind",
            "another name",
        ),
        ("[gates.yard]\nurl = 'https://x'", "gates has no main, which serves every site", "--system gates=yard"),
        (
            "[gates]\ntitle = 'internet Access'\n[gates.main]\nurl = 'https://x'",
            "is the title of internet, too",
            "called Gates",
        ),
        ("[telephony.b]\ndsn = 'postgresql://x'\nurl = 'https://x'", "telephony.b has both url and dsn", "Leave one"),
        (
            "[gates.main]\nurl = 'https://x'\ntoken = 't'\ntoken_file = '/t'",
            "has both token and token_file",
            "Leave one",
        ),
        (
            "[gates.main]\nurl = 'https://x'\nlock_seconds = 30",
            "lock_seconds must be below statement_seconds",
            "Correct",
        ),
        ("[gates]\ntitle = 'Gates'", "gates names no instance", "[gates.main]"),
        ("[gates]\ntitle = ''\n[gates.main]\nurl = 'https://x'", "gates.title is no title", "it is called Gates"),
        ("[gates]\nin_building = 'no'\n[gates.main]\nurl = 'https://x'", "gates.in_building", "true or false"),
        ("[gates.main]\ntoken_file = '/x'", "gates.main has no url", "Add it"),
        ("[gates.main]\nurl = 'https://x'\nsauce = 1", "gates.main.sauce is not known", "It can have adapter"),
        ("[gates.'b c']\nurl = 'https://x'", "gates.b c cannot be the name of an instance", "small letters"),
        ("[telephony.main]\ndsn = 'postgresql://x'", "telephony.main is what CONNECT_", "another name"),
        ("[telephony.b]\nsip_domain = 'b.example'", "telephony.b has no dsn", "Add it"),
        ("[telephony.b]\ndsn = 5", "telephony.b.dsn is no text", "quotes"),
        ("[gates.main]\nadapter = 'a:B'\noptions = 5", "gates.main.options is no table", "[gates.main.options]"),
        ("[gates.main]\nurl = 'https://x'\noptions.level = 2", "gates.main has options, which are for an", "Leave"),
        ("[doors-a.main]\nurl = 'https://x'\n[doors.a-main]\nurl = 'https://y'", "the task queue of", "another name"),
        ("[telephony]\ntitle = 'Phones'", "telephony.title does not belong", "Leave it out"),
        (
            "[telephony.b]\ndsn = 'postgresql://x'\ncalls_in_progress = 'perhaps'",
            "calls_in_progress is not one of 'end' or 'finish'",
            "Give one",
        ),
    ],
)
def test_what_is_wrong_is_said_with_the_place_and_the_remedy_and_the_rest_holds(
    tmp_path: Path, text: str, place: str, remedy: str
) -> None:
    found = instances_of(tmp_path, text if text.startswith(("[doors", "doors")) else f"{text}\n{DOORS}")
    (problem,) = found.problems
    assert place in problem
    assert remedy in problem
    assert str(tmp_path / "systems.toml") in problem
    assert ("doors", "main") in found.instances or text.startswith(("[doors", "doors"))
    assert ("telephony", "main") in found.instances


def test_every_word_that_stands_beside_the_names_of_systems_is_reserved() -> None:
    """What a name is compared with in keys, filters, histories and answers: a new word needs its place."""
    reserved = set[str]().union(*RESERVED.values())
    words = {matters.WORKFLOW, CREATE, *TABLE, *Status, *Provisioned, *Kind, *get_args(SystemStanding)}
    words |= {
        *get_args(get_type_hints(Attention)["state"]),
        *(word for part in get_args(Thing) for word in get_args(part)),
        DIRECTORY,
        "inactive",
    }
    assert {str(word) for word in words} <= reserved


def test_names_that_differ_in_capitals_alone_are_told_apart(tmp_path: Path) -> None:
    found = instances_of(tmp_path, f"{DOORS}[doors.Main]\nurl = 'https://x'\n[Doors.main]\nurl = 'https://x'\n")
    instance, kind = found.problems
    assert "doors.Main cannot be the name of an instance, and differs from main in capital letters alone" in instance
    assert "Doors cannot be the name of a kind, and differs from doors in capital letters alone" in kind
    assert found.names_of("doors") == ["main"]


def test_a_kind_without_an_instance_that_can_be_used_is_not_offered(tmp_path: Path) -> None:
    found = instances_of(tmp_path, "[gates.main]\ntoken = 'x'\n")
    assert len(found.problems) == 1
    assert "gates" not in found.kinds


def test_a_file_that_was_saved_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    assert instances_of(tmp_path, f"\ufeff{DOORS}").problems == ()
