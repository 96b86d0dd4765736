"""What workflows of a namespace may do is what a setting says of it."""

from typing import Any

import pytest

from activities.settings import Settings
from starter.contract.callers import Caller, Role
from starter.errors import NotAllowed
from starter.nexus.callers import NexusCallers

DSN: dict[str, Any] = {"directory_dsn": "postgresql://there/connect"}


def named_in(text: str) -> NexusCallers:
    return NexusCallers.of(Settings(**DSN, nexus_callers=text))


def test_by_default_a_namespace_is_a_service_of_its_own_name() -> None:
    assert named_in(" ").caller("billing", "nexus:billing") == Caller("nexus:billing", Role.SERVICE, None, ("billing",))
    assert named_in("").caller("", "nexus") == Caller("nexus", Role.SERVICE, None, ("nexus",))


@pytest.mark.parametrize("namespace", ["all", "ALL"])
def test_no_namespace_is_called_as_every_source_is(namespace: str) -> None:
    assert not named_in("").caller(namespace, f"nexus:{namespace}").owns("all")


def test_a_namespace_has_the_role_sites_and_sources_of_the_setting() -> None:
    callers = named_in(
        '{"billing": {"role": "service", "sources": ["dunning", "fraud"], "sites": ["york"]}, '
        '"crm": {"role": "operator"}, "*": {"role": "viewer"}}'
    )
    assert callers.caller("billing", "b") == Caller("b", Role.SERVICE, ("york",), ("dunning", "fraud"))
    assert callers.caller("crm", "c") == Caller("c", Role.OPERATOR)
    assert callers.caller("elsewhere", "e") == Caller("e", Role.VIEWER)


def test_who_is_not_in_the_setting_may_nothing() -> None:
    callers = named_in('{"billing": {"role": "service"}}')
    assert callers.caller("billing", "b").sources == ("billing",)
    for namespace in ("crm", ""):
        with pytest.raises(NotAllowed, match="CONNECT_NEXUS_CALLERS"):
            callers.caller(namespace, "n")


@pytest.mark.parametrize(
    "text",
    [
        *("billing=service", "[]", "{", '{"a": {}}', '{"a": {"role": "chief"}}', '{"a": {"role": "viewer", "x": 1}}'),
        *('{"a": {"role": "admin", "sites": ["york"]}}', '{"a": {"role": "viewer", "sources": ["b"]}}'),
        *('{"a": {"role": "service", "sources": ["all"]}}', '{"a": {"role": "viewer", "sites": []}}'),
    ],
)
def test_a_setting_that_says_something_else_is_refused_with_its_name_and_how_it_is_written(text: str) -> None:
    with pytest.raises(ValueError, match=r"^CONNECT_NEXUS_CALLERS is wrong: .+\. Write it as \{") as raised:
        named_in(text)
    assert raised.value.__suppress_context__
