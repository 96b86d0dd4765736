"""Claims about webhooks in the console: secrets are shown once, and what is wrong is said beside its field."""

from html import unescape

from starter.app import create_app
from starter.clients import ClientService
from tests.starter.console.filling_in import Somebody, ann, signed_in
from tests.support.service import LIMITS, TOKEN, Service, serving, unique

__all__ = ["ann"]

PATH = "/webhooks"
URL = "https://billing.example.net/connect"


async def secret_of(service: Service, webhook_id: str, version: int) -> str:
    return service.clients.keyring.webhook_secret(webhook_id, version)


async def test_a_webhook_is_added_once_however_often_its_form_is_sent_and_its_secret_shown_then(
    service: Service, ann: Somebody
) -> None:
    form, page = await ann.open(PATH, PATH)
    assert "secret" not in page.texts
    described = unique("Billing")
    filled = {**form, "url": URL, "description": described, "clients": "acme, bolt"}
    answers = [await ann.send(PATH, filled) for _ in range(2)]
    (webhook,) = [it for it in (await service.api.get("/webhooks")).json()["items"] if it["description"] == described]
    assert (webhook["clients"], webhook["created_by"]) == (["acme", "bolt"], "ann")
    secret = await secret_of(service, webhook["webhook_id"], 1)
    for answer in answers:
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
        assert secret in answer.text
    for path in (PATH, f"{PATH}/{webhook['webhook_id']}"):
        assert secret not in (await ann.http.get(path)).text


async def test_it_is_paused_enabled_sent_again_rotated_once_and_removed(service: Service, ann: Somebody) -> None:
    made = (await service.api.post("/webhooks", json={"url": URL, "description": unique("Hook")})).json()
    webhook_id, own = made["webhook_id"], f"{PATH}/{made['webhook_id']}"

    async def state() -> str:
        return str((await service.api.get(own)).json()["state"])

    for action, then, when in (("pause", "paused", " once it is enabled"), ("enable", "active", "")):
        assert (await ann.send(f"{own}/{action}", {})).status_code == 303
        assert await state() == then
        assert await ann.done(f"{own}/replay", {"after": "0"}) == (own, f"Those events are sent again{when}.")
        answers = (await ann.http.get(own)).text
        assert ("Nothing is sent until it is enabled." in answers) is (then == "paused")
    assert (await service.api.get(own)).json()["position"] == 0
    form, page = await ann.open(own, f"{own}/rotate")
    assert "Nothing was sent yet" in page.html
    rotated = [await ann.send(f"{own}/rotate", form) for _ in range(2)]
    second, third = [await secret_of(service, webhook_id, version) for version in (2, 3)]
    assert all(second in answer.text and third not in answer.text for answer in rotated), "the form was sent twice"
    assert "can never be used again" in (await ann.http.get(f"{own}/remove")).text
    assert (await ann.send(f"{own}/remove", {})).status_code == 303
    assert (await ann.http.get(own)).status_code == 404


async def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_added(service: Service, ann: Somebody) -> None:
    before = (await service.api.get("/webhooks")).json()["total"]
    form, _ = await ann.open(PATH, PATH)
    for field, wrong, words in (
        ("url", "", "The address is missing"),
        ("url", "ftp://billing.example.net", "https://billing.example.net/connect"),
        ("kinds", "done", "Choose of the list"),
        ("clients", "a\u200bb", "cannot be seen"),
    ):
        answer = await ann.send(PATH, {**form, "url": URL, field: wrong})
        assert answer.status_code == 422
        assert words in unescape(answer.text), field
    assert (await service.api.get("/webhooks")).json()["total"] == before
    made = (await service.api.post("/webhooks", json={"url": URL})).json()
    for wrong, words in (("", "The number is missing"), ("ten", "Give the number"), ("9" * 15, "There is no event")):
        answer = await ann.send(f"{PATH}/{made['webhook_id']}/replay", {"after": wrong})
        assert answer.status_code == 422
        assert words in unescape(answer.text)


async def test_its_address_and_filter_are_edited_and_what_somebody_else_changed_meanwhile_stays(
    service: Service, ann: Somebody
) -> None:
    given = {"url": URL, "description": unique("Hook"), "sites": ["gone"], "kinds": ["proven"], "clients": ["acme"]}
    made = (await service.api.post("/webhooks", json=given)).json()
    own = f"{PATH}/{made['webhook_id']}"
    shown = await ann.http.get(own)
    assert f'href="{own}/edit"' in shown.text
    form, page = await ann.open(f"{own}/edit", f"{own}/edit")
    assert (form["url"], form["clients"], form["kinds"], form["sites"]) == (URL, "acme", "proven", "gone")
    assert "New webhook" not in page.html
    await service.api.patch(own, json={"kinds": ["failed"]})
    answer = await ann.send(f"{own}/edit", {**form, "url": "ftp://x.example"})
    assert answer.status_code == 422
    assert "Nothing was changed." in answer.text
    typed = {**form, "url": f"{URL}/new", "clients": "acme, bolt"}
    assert await ann.done(f"{own}/edit", typed) == (own, "The webhook is saved.")
    changed = (await service.api.get(own)).json()
    assert (changed["url"], changed["clients"]) == (f"{URL}/new", ["acme", "bolt"])
    assert (changed["kinds"], changed["sites"]) == (["failed"], ["gone"]), "the form did not change these"
    await service.api.delete(own)


async def test_what_was_given_up_or_lost_is_said_and_tried_again_by_a_button(service: Service, ann: Somebody) -> None:
    made = (await service.api.post("/webhooks", json={"url": URL, "clients": ["nobody-at-all"]})).json()
    own = f"{PATH}/{made['webhook_id']}"
    async with service.directory() as directory:
        await directory.execute(
            "INSERT INTO webhook_chains (webhook_id, client_id, done, target, failing_since, given_up_at) "
            "VALUES ($1, 'acme', 0, 0, now(), now())",
            made["webhook_id"],
        )
        await directory.execute(
            "UPDATE webhooks SET lost = 3, lost_from = 5, lost_to = 9 WHERE webhook_id = $1", made["webhook_id"]
        )
    page = (await ann.http.get(own)).text
    assert "Nothing more is sent of 1 client:" in page
    assert "3 events were lost to it" in page
    assert "Try again now" in page
    listed = (await ann.http.get(PATH)).text
    assert "given up: 1 client<" in listed
    assert "lost: 3 events" in listed
    assert (await ann.done(f"{own}/enable", {}))[0] == own
    after = (await service.api.get(own)).json()
    assert (after["given_up"], after["failing_since"], after["lost"]) == ([], None, 3)
    await service.api.delete(own)


async def test_a_disabled_one_says_why_and_its_deliveries_say_how_they_went(service: Service, ann: Somebody) -> None:
    made = (await service.api.post("/webhooks", json={"url": URL})).json()
    async with service.directory() as directory:
        await directory.execute(
            "UPDATE webhooks SET state = 'disabled', why = 'The receiver answered 500' WHERE webhook_id = $1",
            made["webhook_id"],
        )
        await directory.execute(
            "INSERT INTO webhook_deliveries "
            "(webhook_id, seq, event_id, kind, client_id, attempt, status, error, seconds) "
            "SELECT $1, n, gen_random_uuid(), 'proven', 'acme', n, 500, 'The receiver answered 500', 0.1 "
            "FROM generate_series(1, 51) n",
            made["webhook_id"],
        )
    page = await ann.http.get(f"{PATH}/{made['webhook_id']}")
    assert "Nothing is sent." in page.text
    assert page.text.count("Not delivered") == 50
    assert "50 of 51 attempts" in page.text
    older = page.text.partition(f"{PATH}/{made['webhook_id']}?cursor=")[2].partition(chr(34))[0]
    assert (await ann.http.get(f"{PATH}/{made['webhook_id']}?cursor={older}")).text.count("Not delivered") == 1
    assert "Disabled" in (await ann.http.get(PATH)).text


async def test_without_a_master_key_nothing_is_added(service: Service) -> None:
    clients = service.clients
    keyless = ClientService(clients.gateway, clients.directory, clients.watch, LIMITS)
    before = (await service.api.get("/webhooks")).json()["total"]
    async with serving(create_app(keyless, TOKEN)) as url, signed_in(service, url) as ann:
        form, _ = await ann.open(PATH, PATH)
        answer = await ann.send(PATH, {**form, "url": URL})
        assert "master key" in answer.text
        assert URL in answer.text, "what was typed is kept"
    assert (await service.api.get("/webhooks")).json()["total"] == before
