"""Services of further kinds, those that the settings name: contracted, shown, and held against the settings."""

from typing import Any

from tests.support.service import SITE, Service, unique, waiting
from tests.support.waiting import eventually

DOOR = {"kind": "doors", "name": "main-entrance", "settings": {"card": "0472"}}


async def test_a_new_client_has_the_services_that_were_asked_for(with_doors: Service) -> None:
    client = await with_doors.create(services=[DOOR])
    assert client["services"] == [DOOR]
    doors = next(system for system in client["systems"] if system["system"] == "doors")
    assert doors["desired"] == {"main-entrance": "on"}
    assert with_doors.doors.subjects["main-entrance"].settings == {"card": "0472"}


async def test_services_are_added_set_anew_and_removed(with_doors: Service) -> None:
    client_id = (await with_doors.create())["client_id"]
    answer = await with_doors.post(client_id, "services", add_services=[DOOR, {"kind": "doors", "name": "garage"}])
    assert answer.json()["message"] == "Services: added doors:main-entrance, added doors:garage"
    new = {**DOOR, "settings": {"card": "0473", "pin": 12, "night": False, "note": None}}
    answer = await with_doors.post(client_id, "services", add_services=[new], remove_services=["doors:garage"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["services"] == [new]


async def test_a_kind_that_no_setting_names_is_refused(service: Service, with_doors: Service) -> None:
    client_id = (await with_doors.create())["client_id"]
    other = {"kind": "mailbox", "name": "12"}
    for answer in (
        await with_doors.post(client_id, "services", add_services=[other]),
        await with_doors.post(client_id, "services?dry_run=true", add_services=[other]),
    ):
        assert answer.status_code == 422
        assert answer.json()["field"] == "add_services"
        assert answer.json()["detail"] == (
            "There is no kind of service 'mailbox'. "
            "Give one of doors, or name it in CONNECT_SYSTEMS_FILE, for the API and the workers."
        )
    body = {"name": "Acme", "type": "virtual", "site": SITE, "services": [DOOR]}
    refused = await service.api.post("/clients", json=body)
    assert (refused.status_code, refused.json()["field"]) == (422, "services")
    assert refused.json()["detail"].endswith(
        "Leave it out, or name it in CONNECT_SYSTEMS_FILE, for the API and the workers."
    )


async def test_what_is_in_the_building_is_said_by_the_settings_alone(with_doors: Service) -> None:
    body = {"name": "Acme", "type": "virtual", "site": SITE, "services": [DOOR]}
    refused = await with_doors.api.post("/clients", json=body)
    assert (refused.status_code, refused.json()["field"]) == (422, "services")
    assert "A virtual client has no doors" in refused.json()["detail"]
    client_id = (await with_doors.create())["client_id"]
    cheated = await with_doors.post(client_id, "services", add_services=[{**DOOR, "in_building": False}])
    assert (cheated.status_code, cheated.json()["field"]) == (422, "add_services.0.in_building")


async def test_hidden_characters_and_wild_numbers_are_no_settings(with_doors: Service) -> None:
    client_id = (await with_doors.create())["client_id"]
    for settings in ({"card": "04\u202e72"}, {"ca\x00rd": "0472"}, {"card": 2**60}, {"card": 1.5}, {"card": [1]}):
        answer = await with_doors.post(client_id, "services", add_services=[{**DOOR, "settings": settings}])
        assert answer.status_code == 422, answer.text
        assert answer.json()["field"].startswith("add_services.0.settings")


async def test_a_system_of_another_kind_is_retried_skipped_and_marked_by_its_name(with_doors: Service) -> None:
    client_id = (await with_doors.create(services=[DOOR]))["client_id"]
    await with_doors.known(client_id)
    answer = await with_doors.post(client_id, "systems/doors/retry")
    assert answer.json()["message"] == "With doors, all is as decided"
    unknown = await with_doors.post(client_id, "systems/mailbox/retry")
    assert (unknown.status_code, unknown.json()["field"]) == (422, "system")
    assert "Give one of: telephony, internet, doors." in unknown.json()["detail"]


# -- sites ------------------------------------------------------------------------------------------------------------


async def test_a_site_names_the_instances_that_serve_its_new_clients(with_doors: Service) -> None:
    site_id = await with_doors.site(systems={"doors": "annex"})
    client = await with_doors.create(site=site_id, services=[DOOR])
    assert {s["system"]: s["instance"] for s in client["systems"]}["doors"] == "annex"
    assert (
        next(order for order in with_doors.doors.orders if order.client_id == client["client_id"]).instance == "annex"
    )


async def test_what_is_added_later_is_served_by_the_instance_of_the_site(with_doors: Service) -> None:
    site_id = await with_doors.site()
    client_id = (await with_doors.create(site=site_id))["client_id"]
    answer = await with_doors.api.patch(f"/sites/{site_id}", json={"systems": {"doors": "annex"}})
    assert answer.status_code == 200, answer.text
    client = (await with_doors.post(client_id, "services", add_services=[DOOR])).json()
    assert {s["system"]: s["instance"] for s in client["systems"]}["doors"] == "annex"


async def test_what_is_signalled_or_planned_later_is_served_by_the_instance_of_the_site(with_doors: Service) -> None:
    site_id = await with_doors.site()
    signalled, planned = [(await with_doors.create(site=site_id))["client_id"] for _ in range(2)]
    answer = await with_doors.api.patch(f"/sites/{site_id}", json={"systems": {"doors": "annex"}})
    assert answer.status_code == 200, answer.text
    handle = with_doors.temporal.get_workflow_handle(f"client-{signalled}")
    await handle.signal("change_services", {"add_services": [DOOR]})

    async def instance(client_id: str) -> str | None:
        systems = (await with_doors.client(client_id))["systems"]
        return {system["system"]: system["instance"] for system in systems}.get("doors")

    async def served() -> bool:
        return await instance(signalled) is not None

    await eventually(served)
    assert await instance(signalled) == "annex"

    key = unique("plan")
    plan: dict[str, Any] = {"add_services": [DOOR], "at": "2099-03-01T09:00:00+00:00"}
    first = await with_doors.post(planned, "services", key=key, **plan)
    assert (first.status_code, first.json()["changed"]) == (200, True), first.text
    again = await with_doors.post(planned, "services", key=key, **plan)
    assert again.json()["message"] == first.json()["message"]
    refused = await with_doors.api.patch(f"/sites/{site_id}", json={"systems": {"doors": "main"}})
    assert refused.status_code == 409, "it is promised to the annex"


async def test_what_ended_on_another_instance_is_proven_off_there_before_the_next_is_taken(with_doors: Service) -> None:
    site_id = await with_doors.site()
    client_id = (await with_doors.create(site=site_id, services=[DOOR]))["client_id"]
    async with with_doors.without(with_doors.doors):
        await with_doors.post(client_id, "services", wait=0, remove_services=["doors:main-entrance"])
        await with_doors.tried(client_id)
        answer = await with_doors.api.patch(f"/sites/{site_id}", json={"systems": {"doors": "annex"}})
        assert answer.status_code == 200, answer.text
        for command in ("services?dry_run=true", "services"):
            refused = await with_doors.post(client_id, command, wait=0, add_services=[DOOR])
            assert (refused.status_code, refused.json()["title"]) == (409, "Still served elsewhere"), refused.text
            assert "Instance annex serves the site's doors now" in refused.json()["detail"]
    await with_doors.post(client_id, "systems/doors/retry")
    await with_doors.known(client_id)
    client = (await with_doors.post(client_id, "services", add_services=[DOOR])).json()
    assert {s["system"]: s["instance"] for s in client["systems"]}["doors"] == "annex"


async def test_a_site_is_edited_and_what_is_left_out_stays(with_doors: Service) -> None:
    site_id = await with_doors.site(systems={"doors": "annex"})
    answer = await with_doors.api.patch(
        f"/sites/{site_id}", json={"name": "Annex House", "systems": {"telephony": "london"}}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["systems"] == {"doors": "annex", "telephony": "london"}
    assert (await with_doors.api.patch(f"/sites/{site_id}", json={})).json() == answer.json()
    assert answer.json() in (await with_doors.api.get("/sites")).json()["items"]
    assert (await with_doors.api.patch("/sites/nowhere", json={})).status_code == 404


async def test_a_kind_or_instance_that_no_setting_names_is_refused_to_a_site(with_doors: Service) -> None:
    site_id = await with_doors.site()
    for systems, words in (
        ({"doors": "cellar"}, "There is no instance of doors 'cellar'. Give one of main, annex, or name it"),
        ({"mailbox": "main"}, "There is no kind of service 'mailbox'. Give one of telephony, internet, doors, or"),
    ):
        for answer in (
            await with_doors.api.patch(f"/sites/{site_id}", json={"systems": systems}),
            await with_doors.api.post(
                "/sites", json={"site_id": "other", "name": "O", "timezone": "Europe/London", "systems": systems}
            ),
        ):
            assert (answer.status_code, answer.json()["field"]) == (422, "systems")
            assert answer.json()["detail"].startswith(words)


async def test_an_instance_that_serves_living_clients_stays_the_sites(with_doors: Service) -> None:
    site_id = await with_doors.site()
    client_id = (await with_doors.create(site=site_id, services=[DOOR]))["client_id"]

    async def moved(**systems: str) -> int:
        answer = await with_doors.api.patch(f"/sites/{site_id}", json={"systems": systems})
        if answer.status_code == 409:
            assert "of 1 living client of the site" in answer.json()["detail"]
        return answer.status_code

    assert await moved(doors="annex") == 409
    assert await moved(telephony="london") == 409
    assert await moved(doors="main") == 200
    await with_doors.post(client_id, "services", remove_services=["doors:main-entrance"])
    planned = await with_doors.post(client_id, "services", add_services=[DOOR], at="2099-01-01T00:00:00+00:00")
    assert planned.status_code == 200, planned.text
    assert await moved(doors="annex") == 409
    cancel = f"/clients/{client_id}/planned/change_services"
    assert (await with_doors.api.delete(cancel, headers=waiting(20))).status_code == 200
    assert await moved(doors="annex") == 200
