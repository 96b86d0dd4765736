"""Claims about the ways out for a person: retry, skip, mark done by hand, and new secrets (PRODUCT.md section 5)."""

from typing import Any

import httpx2
import pytest

from tests.support.service import Service, number, unique
from workflows.domain.provisioning.standing import Proof
from workflows.domain.systems import spoken

ACCESS = {"down_mbps": 100, "up_mbps": 20, "vlan": 110}
REASON = "the line card is being replaced on Monday"
NOTE = "switched off at the exchange, ticket 4711"


def system_of(client: dict[str, Any], name: str = "telephony") -> dict[str, Any]:
    found: dict[str, Any] = next(system for system in client["systems"] if system["system"] == name)
    return found


async def stuck(slow: Service, **record: Any) -> dict[str, Any]:
    """A suspended client whose telephones could not be switched off; the next attempt is an hour away."""
    client = await slow.create(**record)
    await slow.stuck(client["client_id"], "suspend", slow.telephony)
    return await slow.client(client["client_id"])


async def as_listed(service: Service, client_id: str) -> dict[str, Any]:
    """The client as the directory alone shows it."""
    page = (await service.api.get("/clients", params={"q": client_id, "inactive": True})).json()
    answered: dict[str, Any] = next(item for item in page["items"] if item["client_id"] == client_id)
    return answered


async def test_what_is_not_proven_off_has_no_time_of_proof_whatever_was_proven_before(slow: Service) -> None:
    client_id = (await slow.create())["client_id"]
    assert system_of(await slow.client(client_id))["subjects"][0]["proven_at"]
    await slow.stuck(client_id, "suspend", slow.telephony)
    for view in (await slow.client(client_id), await as_listed(slow, client_id)):
        (subject,) = system_of(view)["subjects"]
        assert (subject["desired"], subject["state"], subject["proven_at"]) == ("off", "changing", None)
    answer = await slow.post(client_id, "systems/telephony/retry")
    (subject,) = system_of(answer.json())["subjects"]
    assert (subject["state"], bool(subject["proven_at"])) == ("proven", True)


# -- retry ------------------------------------------------------------------------------------------------------------


async def test_a_retry_does_not_wait_for_its_time_and_is_settled_when_proven(slow: Service) -> None:
    client = await stuck(slow)
    telephony = system_of(client)
    assert (telephony["state"], telephony["attempts"]) == ("attention", 1)
    assert telephony["attention_since"] < telephony["next_attempt_at"]
    answer = await slow.post(client["client_id"], "systems/telephony/retry", reason="it is back")
    answered = answer.json()
    assert (answer.status_code, answered["provisioning"], answered["changed"]) == (200, "settled", True), answer.text
    assert answered["message"] == "Trying telephone lines again"
    after = system_of(answered)
    assert (after["state"], after["attempts"], after["last_error"], after["next_attempt_at"]) == (
        "settled",
        0,
        "",
        None,
    )
    subject = after["subjects"][0]
    assert (subject["state"], subject["actual"], subject["seen"]) == ("proven", "off", {"row": "off"})
    assert slow.telephony.lines[subject["subject"]] is False
    line = next(line for line in await slow.history(client["client_id"]) if line["kind"] == "retry")
    assert (line["event"], line["by"], line["reason"]) == ("decided", "api", "it is back")


async def test_a_retry_that_fails_again_is_accepted_and_shows_the_error(slow: Service) -> None:
    client = await stuck(slow)
    async with slow.without(slow.telephony):
        answer = await slow.post(client["client_id"], "systems/telephony/retry", wait=0)
        again = await slow.tried(client["client_id"])
    assert (answer.status_code, again["provisioning"]) == (202, "attention")
    assert "does not answer" in system_of(again)["last_error"]
    assert (await slow.post(client["client_id"], "systems/telephony/retry")).status_code == 200


async def test_the_same_retry_twice_is_one_retry(slow: Service) -> None:
    client, key = await stuck(slow), unique("key")
    answers = [await slow.post(client["client_id"], "systems/telephony/retry", key=key) for _ in range(2)]
    assert [answer.json()["changed"] for answer in answers] == [True, True]
    lines = [line for line in await slow.history(client["client_id"]) if line["command_id"] == key]
    assert len(lines) == 1
    other = await slow.post(client["client_id"], "systems/internet/retry", key=key)
    assert (other.status_code, other.json()["title"]) == (422, "Command id reused")


async def test_one_system_is_retried_and_the_other_left_alone(slow: Service) -> None:
    client = await slow.create(internet=ACCESS)
    client_id = client["client_id"]
    await slow.stuck(client_id, "suspend", slow.telephony, slow.internet)
    answer = await slow.post(client_id, "systems/internet/retry", wait=0)
    both = await slow.tried(client_id)
    assert (answer.status_code, both["provisioning"]) == (202, "attention")
    assert (system_of(both)["state"], system_of(both, "internet")["state"]) == ("attention", "settled")
    assert (await slow.post(client_id, "systems/telephony/retry")).status_code == 200


# -- skip -------------------------------------------------------------------------------------------------------------


async def test_what_is_skipped_is_neither_settled_nor_proven_until_the_next_decision(slow: Service) -> None:
    client = await stuck(slow)
    client_id = client["client_id"]
    answer = await slow.post(client_id, "systems/telephony/skip", reason=REASON)
    assert answer.status_code == 200, answer.text
    for view in (answer.json(), await slow.client(client_id), await as_listed(slow, client_id)):
        assert view["provisioning"] == "skipped"
        telephony = system_of(view)
        assert (telephony["state"], set(telephony["actual"].values())) == ("skipped", {"unknown"})
        assert (telephony["skipped"]["reason"], telephony["skipped"]["by"]) == (REASON, "api")
        assert [subject["state"] for subject in telephony["subjects"]] == ["skipped"]
    back = await slow.post(client_id, "unsuspend")
    assert (back.status_code, system_of(back.json())["skipped"], system_of(back.json())["state"]) == (
        200,
        None,
        "settled",
    )


async def test_a_decommission_of_which_a_system_is_skipped_stays_open_until_it_is_proven(slow: Service) -> None:
    client_id = (await slow.create(internet=ACCESS))["client_id"]
    await slow.post(client_id, "suspend")
    await slow.stuck(client_id, "decommission", slow.telephony)
    skipped = await slow.post(client_id, "systems/telephony/skip", reason=REASON)
    assert (skipped.status_code, skipped.json()["status"]) == (200, "decommissioned")
    retried = await slow.post(client_id, "systems/telephony/retry")
    assert (retried.status_code, retried.json()["changed"]) == (200, True), "what is not proven is not over"
    assert system_of(retried.json())["state"] == "settled"


# -- mark done --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["note", "reason"])
async def test_what_is_marked_done_is_proven_by_hand_and_says_by_whom(slow: Service, name: str) -> None:
    client = await stuck(slow)
    client_id = client["client_id"]
    body: dict[str, Any] = {name: NOTE}
    answer = await slow.post(client_id, "systems/telephony/mark-done", **body)
    assert (answer.status_code, answer.json()["provisioning"]) == (200, "settled"), answer.text
    for view in (answer.json(), await slow.client(client_id), await as_listed(slow, client_id)):
        telephony = system_of(view)
        assert (telephony["state"], telephony["method"], telephony["by"]) == ("done_by_hand", "by hand", "api")
        subject = telephony["subjects"][0]
        assert (subject["actual"], subject["state"], subject["seen"]) == ("off", "done_by_hand", {"note": NOTE})
        assert telephony["note"] == NOTE
        assert subject["proven_at"] == telephony["proven_at"]
    evidence = next(line for line in await slow.history(client_id) if line["kind"] == "mark_done")
    assert (evidence["by"], evidence["reason"]) == ("api", NOTE)
    back = await slow.post(client_id, "unsuspend")
    telephony = system_of(back.json())
    assert (telephony["method"], telephony["by"]) == ("memory", ""), "the next proof is nobody's word"
    assert (telephony["note"], telephony["subjects"][0]["seen"]) == ("", {"row": "on"})
    assert telephony == system_of(await slow.client(client_id))


async def test_a_decommission_marked_done_by_hand_closes_the_client(slow: Service) -> None:
    client = await slow.create()
    client_id = client["client_id"]
    await slow.stuck(client_id, "decommission", slow.telephony)
    assert (await slow.post(client_id, "systems/telephony/mark-done", note=NOTE)).status_code == 200
    await slow.temporal.get_workflow_handle(f"client-{client_id}").result()
    telephony = system_of(await slow.client(client_id))
    assert (telephony["state"], telephony["by"]) == ("done_by_hand", "api")


# -- seen -------------------------------------------------------------------------------------------------------------


async def test_one_line_that_cannot_be_seen_is_told_apart_from_the_others(slow: Service) -> None:
    dark, fine = number(), number()
    client = await slow.create(lines=[{"number": n, "office": "1"} for n in (dark, fine)])
    slow.telephony.doubts[dark] = (Proof.NOT_PROVEN, "Kamailio does not say whether a call is left")
    answer = await slow.post(client["client_id"], "suspend", wait=0)
    tried = await slow.tried(client["client_id"])
    assert (answer.status_code, tried["provisioning"]) == (202, "changing")
    for view in (tried, await as_listed(slow, client["client_id"])):
        telephony = system_of(view)
        assert (telephony["state"], telephony["attention_since"]) == ("not_proven", None)
        subjects = {subject["subject"]: subject for subject in telephony["subjects"]}
        assert (subjects[dark]["state"], subjects[dark]["actual"]) == ("not_proven", "unknown")
        assert "whether a call is left" in subjects[dark]["why"]
        assert (subjects[fine]["state"], subjects[fine]["actual"], subjects[fine]["why"]) == ("proven", "off", "")
        assert subjects[fine]["proven_at"]
    del slow.telephony.doubts[dark]
    proven = await slow.post(client["client_id"], "systems/telephony/retry")
    assert proven.status_code == 200
    for view in (proven.json(), await slow.client(client["client_id"]), await as_listed(slow, client["client_id"])):
        telephony = system_of(view)
        assert (telephony["state"], telephony["last_error"], telephony["attempts"]) == ("settled", "", 0)
        assert {subject["actual"] for subject in telephony["subjects"]} == {"off"}


async def test_a_line_that_is_refused_needs_a_person_and_the_rest_is_switched(slow: Service) -> None:
    bad, fine = number(), number()
    client = await slow.create(lines=[{"number": n, "office": "1"} for n in (bad, fine)])
    slow.telephony.doubts[bad] = (Proof.FAILED, "the exchange keeps it")
    await slow.post(client["client_id"], "suspend", wait=0)
    tried = await slow.tried(client["client_id"])
    assert tried["provisioning"] == "attention"
    assert slow.telephony.lines[fine] is False
    subjects = {s["subject"]: s["state"] for s in system_of(tried)["subjects"]}
    assert subjects == {bad: "failed", fine: "proven"}
    del slow.telephony.doubts[bad]


async def test_evidence_is_shown_with_each_line(slow: Service) -> None:
    client = await slow.create(internet=ACCESS)
    suspended = (await slow.post(client["client_id"], "suspend")).json()
    for view in (suspended, await slow.client(client["client_id"]), await as_listed(slow, client["client_id"])):
        for system in view["systems"]:
            assert system["method"] == "memory"
            assert {subject["subject"]: subject["actual"] for subject in system["subjects"]} == system["actual"]
            assert [subject["seen"] for subject in system["subjects"]] == [{"row": "off"}]


async def test_a_protected_line_is_shown_as_left_in_service(service: Service) -> None:
    lift, clients = number(), number()
    lines = [{"number": lift, "office": "Lift", "protected": True}, {"number": clients, "office": "1"}]
    client = await service.create(lines=lines)
    suspended = (await service.post(client["client_id"], "suspend")).json()
    subjects = {s["subject"]: (s["protected"], s["desired"], s["actual"]) for s in system_of(suspended)["subjects"]}
    assert subjects == {lift: (True, "on", "on"), clients: (False, "off", "off")}


async def test_the_evidence_of_a_closed_client_is_still_shown(service: Service) -> None:
    client = await service.closed(internet=ACCESS)
    for system in (await service.client(client["client_id"]))["systems"]:
        assert system["subjects"]
        for subject in system["subjects"]:
            assert (subject["state"], subject["actual"], subject["seen"]) == ("proven", "off", {"row": "off"})


# -- rotate -----------------------------------------------------------------------------------------------------------


async def test_rotated_credentials_are_others_and_proven(service: Service) -> None:
    client = await service.create(internet=ACCESS)
    path = f"/clients/{client['client_id']}/credentials"
    before = (await service.api.get(path)).json()
    key = unique("key")
    for _ in range(2):
        answer = await service.post(client["client_id"], "rotate-credentials", key=key, reason="a telephone was lost")
        assert (answer.status_code, answer.json()["secret_version"]) == (200, 2), answer.text
        assert (answer.json()["provisioning"], answer.json()["changed"]) == ("settled", True)
    after = (await service.api.get(path)).json()
    assert after["sip"][0]["password"] != before["sip"][0]["password"]
    assert after["radius"]["password"] != before["radius"]["password"]
    assert after["sip"][0]["username"] == before["sip"][0]["username"]


# -- refused ----------------------------------------------------------------------------------------------------------

WAYS: dict[str, dict[str, Any]] = {
    "systems/telephony/retry": {},
    "systems/internet/skip": {"reason": REASON},
    "systems/telephony/mark-done": {"note": NOTE},
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_system_that_is_as_decided_needs_no_way_out(service: Service, way: str) -> None:
    client_id = (await service.create(internet=ACCESS))["client_id"]
    await service.known(client_id)
    answer = await service.post(client_id, way, **WAYS[way])
    assert (answer.status_code, answer.json()["changed"]) == (200, False), answer.text
    assert answer.json()["message"] == f"With {spoken(way.split('/')[1])}, all is as decided"


async def test_a_closed_client_has_no_way_out_and_its_history_says_who_tried(service: Service) -> None:
    client_id = (await service.closed())["client_id"]
    for way, body in {**WAYS, "rotate-credentials": {}}.items():
        answer = await service.post(client_id, way, **body)
        assert (answer.status_code, answer.json()["client_status"]) == (409, "decommissioned"), answer.text
        assert "_" not in answer.json()["detail"]
        assert "was already decommissioned at" in answer.json()["detail"]
    refused = {line["kind"]: line["reason"] for line in await service.history(client_id) if line["event"] == "refused"}
    assert refused == {"retry": "", "skip": REASON, "mark_done": NOTE, "rotate_credentials": ""}


async def test_an_unknown_client_has_no_way_out(service: Service) -> None:
    for way, body in {**WAYS, "rotate-credentials": {}}.items():
        answer = await service.post("nobody-here", way, **body)
        assert (answer.status_code, answer.json()["title"]) == (404, "No such client"), answer.text


@pytest.mark.parametrize("way", ["retry", "skip", "mark-done"])
async def test_a_system_that_is_not_switched_is_named(service: Service, way: str) -> None:
    client_id = (await service.create())["client_id"]
    for system in ("directory", "plumbing", "TELEPHONY"):
        answer = await service.api.post(f"/clients/{client_id}/systems/{system}/{way}", json={"reason": "x"})
        assert (answer.status_code, answer.json()["field"]) == (422, "system"), answer.text
        if system != "TELEPHONY":  # which cannot be the name of one
            assert "Give one of: telephony, internet." in answer.json()["detail"]


@pytest.mark.parametrize(
    ("way", "body", "field"),
    [
        ("skip", {}, "reason"),
        ("skip", {"reason": ""}, "reason"),
        ("skip", {"reason": " \t"}, "reason"),
        ("skip", {"reason": "x" * 501}, "reason"),
        ("skip", {"reason": "a\0b"}, "reason"),
        ("skip", {"note": "x"}, "reason"),
        ("skip", {"reason": "x", "last_day": "2100-01-01"}, "last_day"),
        ("mark-done", {}, "note"),
        ("mark-done", {"note": " "}, "note"),
        ("mark-done", {"note": "a\0b"}, "note"),
        ("mark-done", {"note": 7}, "note"),
        ("mark-done", {"note": "x", "reason": "x"}, None),
        ("retry", {"reason": "x" * 501}, "reason"),
        ("retry", {"colour": "blue"}, "colour"),
    ],
)
async def test_a_malformed_way_out_names_its_field(
    api: httpx2.AsyncClient, way: str, body: dict[str, Any], field: str | None
) -> None:
    answer = await api.post(f"/clients/acme/systems/telephony/{way}", json=body)
    assert (answer.status_code, answer.json().get("field")) == (422, field), answer.text
    if field is None:
        assert answer.json()["detail"] == "Both note and reason are given. Leave one of them out."
