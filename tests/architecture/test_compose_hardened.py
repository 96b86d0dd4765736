"""What each service of docker-compose.yml may do and reach: every line that takes something away is held here."""

import re
from itertools import combinations
from typing import Any

import pytest

from tests.architecture.compose import ROOT, compose, services

EVERYWHERE: dict[str, Any] = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
}
BOUNDED = ("pids_limit", "mem_limit", "cpus", "logging")
EXCEPTIONS: dict[tuple[str, str], str] = {}
"""(service, key): why it has no such line. None is needed."""

CAPABILITIES: dict[str, set[str]] = {}
"""What a service is given back of what it lost. None needs any: none begins as root, and no port is below 1024."""

WRITES = {
    "postgres": {"/tmp", "/run/postgresql"},
    "temporal-ui": {"/tmp", "/home/ui-server/config"},
    "kamailio": {"/tmp", "/run/kamailio"},
    "freeradius": {"/tmp", "/run/radius"},
}
"""Folders in memory; of all others, /tmp. What must last is in a volume."""

REACH = {
    frozenset(pair)
    for pair in (
        ("postgres", "temporal-schema"),
        ("postgres", "temporal"),
        ("postgres", "migrate"),
        ("postgres", "worker"),
        ("postgres", "api"),
        ("postgres", "kamailio"),
        ("postgres", "freeradius"),
        ("temporal", "temporal-namespace"),
        ("temporal", "temporal-ui"),
        ("temporal-ui", "temporal-ui-proxy"),
        ("temporal", "worker"),
        ("temporal", "api"),
        ("worker", "kamailio"),
        # they need nothing of each other, and share what they need of others
        ("temporal-schema", "temporal"),
        ("temporal-namespace", "worker"),
        ("temporal-namespace", "api"),
        ("migrate", "worker"),
        ("migrate", "api"),
        ("worker", "api"),
    )
}
OUTSIDE = {
    "operators": {"temporal"},
    "browsers": {"temporal-ui-proxy"},
    "api": {"api"},
    "telephones": {"kamailio"},
    "routers": {"freeradius"},
}
"""Networks with a way out, and who is in them: those that something is published from."""

ASKS_OUTSIDE = {"access-gear": {"worker"}}
OF_OURS = {service: it for service, it in services().items() if "build" in it}


def networks_of(service: str) -> set[str]:
    return set(services()[service]["networks"])


@pytest.mark.parametrize("service", services())
def test_every_service_has_every_line_that_takes_something_away(service: str) -> None:
    it = services()[service]
    for key, value in EVERYWHERE.items():
        assert it.get(key) == value or (service, key) in EXCEPTIONS, key
    assert all(key in it or (service, key) in EXCEPTIONS for key in BOUNDED)
    assert set(it.get("cap_add", [])) == CAPABILITIES.get(service, set())
    assert not {"privileged", "network_mode", "pid", "ipc", "devices"} & it.keys()
    assert {(service, key) for key in it} & EXCEPTIONS.keys() == set(), "an exception that is needed no more"


@pytest.mark.parametrize("service", services())
def test_no_service_runs_as_root(service: str) -> None:
    """Those of others say as whom; of ours the image does."""
    it = services()[service]
    if service not in OF_OURS:
        user, group = it["user"].split(":")
        assert int(user) > 0
        assert int(group) > 0
        return
    built = it["build"]
    dockerfile = (ROOT / (built["dockerfile"] if isinstance(built, dict) else "Dockerfile")).read_text(encoding="utf-8")
    *_, user = re.findall(r"^USER (\S+)$", dockerfile, re.M)
    assert user not in ("root", "0")
    assert dockerfile.rindex("USER ") < dockerfile.index("ENTRYPOINT")
    assert "RUN" not in dockerfile[dockerfile.rindex("USER ") :]


@pytest.mark.parametrize("service", services())
def test_a_service_writes_in_memory_and_in_its_volume_and_nowhere_else(service: str) -> None:
    it = services()[service]
    assert {place.partition(":")[0] for place in it["tmpfs"]} == WRITES.get(service, {"/tmp"})
    volumes = [volume for volume in it.get("volumes", []) if not volume.endswith(":ro")]
    assert volumes == (["postgres:/var/lib/postgresql"] if service == "postgres" else [])
    for place in it["tmpfs"]:
        options = dict(option.split("=") for option in place.partition(":")[2].split(",") if option)
        if "user" in it and place != "/tmp":
            assert f"{options['uid']}:{options['gid']}" == it["user"], "or it could not write there"
        elif place != "/tmp":
            assert options == {"mode": "1777"}, "as whom it runs only the image knows"


def test_the_daemons_write_where_they_are_told_to() -> None:
    assert services()["freeradius"]["environment"]["RADIUS_RUN"] == "/run/radius"
    assert "/run/kamailio" in (ROOT / "deploy/compose/kamailio.sh").read_text(encoding="utf-8")


def test_who_reaches_whom() -> None:
    meet = {frozenset(pair) for pair in combinations(services(), 2) if networks_of(pair[0]) & networks_of(pair[1])}
    assert meet == REACH
    for apart in (
        ("kamailio", "temporal"),
        ("kamailio", "api"),
        ("freeradius", "kamailio"),
        ("freeradius", "temporal"),
        ("freeradius", "worker"),
        ("temporal-ui", "postgres"),
        ("temporal-ui", "api"),
        ("temporal-ui", "worker"),
    ):
        assert frozenset(apart) not in meet


@pytest.mark.parametrize("service", services())
def test_whoever_is_needed_can_be_reached(service: str) -> None:
    """By the names in its environment."""
    values = " ".join(services()[service].get("environment", {}).values())
    for other in services():
        if other != service and re.search(rf"(?:@|//|host=|\b)(?:[a-z]+\.)?{other}:\d", f" {values}"):
            assert frozenset((service, other)) in REACH, f"{service} is told of {other}"


def test_a_network_without_need_of_a_way_out_has_none() -> None:
    open_ones = {name for name, it in compose()["networks"].items() if not it.get("internal")}
    assert open_ones == OUTSIDE.keys() | ASKS_OUTSIDE.keys()
    for network, members in (OUTSIDE | ASKS_OUTSIDE).items():
        assert {service for service in services() if network in networks_of(service)} == members
    published = {service for service, it in services().items() if "ports" in it}
    assert published == set().union(*OUTSIDE.values())
    used = set().union(*(networks_of(service) for service in services()))
    assert used == compose()["networks"].keys()


def test_telephones_and_workers_reach_kamailio_by_names_that_lead_to_one_network_each() -> None:
    """Its own name leads to any of them, and so does the name of an interface."""
    kamailio = services()["kamailio"]
    alias = {network: it["aliases"] for network, it in kamailio["networks"].items() if it}
    assert alias == {"telephones": ["sip.kamailio"], "sip-rpc": ["rpc.kamailio"]}
    assert kamailio["environment"]["SIP_LISTEN"] == "sip.kamailio:5060"
    assert kamailio["environment"]["SIP_RPC_LISTEN"] == kamailio["environment"]["SIP_RPC_HOST"] == "rpc.kamailio:8090"
    assert "sip.kamailio" in kamailio["healthcheck"]["test"]
    assert not [port for port in kamailio["ports"] if "8090" in port]


def test_only_who_needs_a_secret_has_it() -> None:
    have: dict[str, set[str]] = {}
    for service, it in services().items():
        for secret in it.get("secrets", []):
            have.setdefault(secret, set()).add(service)
    assert have == {
        "postgres-password": {"postgres"},
        "master-key": {"worker", "api"},
        "encryption-keys": {"worker", "api"},
        "token": {"api"},
        "sip-daemon-password": {"kamailio"},
        "sip-rpc-secret": {"kamailio", "worker"},
        "radius-daemon-password": {"freeradius"},
        "radius-secret": {"freeradius"},
    }


def test_temporal_finds_itself_though_it_has_several_addresses() -> None:
    assert len(networks_of("temporal")) > 1
    assert services()["temporal"]["environment"]["TEMPORAL_BROADCAST_ADDRESS"] == "127.0.0.1"


def test_only_this_machine_reaches_what_is_published_unless_it_is_told_otherwise() -> None:
    for it in services().values():
        assert all(port.startswith("127.0.0.1:") for port in it.get("ports", []))
