"""What the directory shows, and that older never overwrites newer."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta

import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from tests.activities.fixtures import AT, ONE, TWO, World, publication, registration, switched, view_of
from workflows.domain.answers import Answer
from workflows.domain.journal import Entry, Event
from workflows.domain.systems import INTERNET, TELEPHONY
from workflows.ports import STALE_REVISION
from workflows.wire.views import PlannedView

DATABASES = ("directory",)

ENTRIES = [
    Entry(Event.DECIDED, AT + timedelta(seconds=n), f"line {n}", kind="create", facts={"n": str(n)}) for n in (1, 2)
]


async def test_a_published_client_can_be_listed_searched_and_read(world: World) -> None:
    ref = await world.register("acme", ONE)
    planned = PlannedView.model_validate(
        {"change_id": "c1", "kind": "decommission", "at": AT, "local_time": "", "by": "ann", "reason": "",
         "details": {}, "status_after": "decommissioned"}
    )  # fmt: skip
    await world.directory.publish(
        publication("acme", 2, ONE, billing_ref=ref, end_date=date(2027, 1, 1), planned=[planned])
    )
    ((search, change_at, kind, numbers, document, word),) = await world.rows(
        "directory",
        "SELECT search, next_change_at, next_change_kind, numbers, document->>'name', provisioning FROM clients",
    )
    assert search == f"acme ltd {ref.lower()} acme +442079460001 442079460001 3.12"
    assert (change_at, kind, numbers, document, word) == (AT, "decommission", [ONE], "Acme Ltd", "settled")


async def test_the_reference_allotted_to_a_new_client_is_shown_at_once(world: World) -> None:
    ref = await world.register("acme")
    rows = await world.rows("directory", "SELECT billing_ref, document->>'billing_ref' FROM clients")
    assert rows == [(ref, ref)]


async def test_attention_is_shown(world: World) -> None:
    ref = await world.register("acme")
    refused = switched(INTERNET, state="attention")
    await world.directory.publish(publication("acme", 2, billing_ref=ref, systems=[refused]))
    assert await world.rows("directory", "SELECT provisioning FROM clients") == [("attention",)]


async def test_an_older_publication_never_overwrites_a_newer_one(world: World) -> None:
    ref = await world.register("acme")
    await world.directory.publish(publication("acme", 5, billing_ref=ref, name="Newer"))
    with pytest.raises(ApplicationError) as refused:
        await world.directory.publish(publication("acme", 4, billing_ref=ref, name="Older"))
    assert (refused.value.type, refused.value.details) == (STALE_REVISION, ({"newest": 5},))
    assert await world.rows("directory", "SELECT name, revision FROM clients") == [("Newer", 5)]


async def test_publications_side_by_side_end_with_the_newest(world: World) -> None:
    ref = await world.register("acme")
    orders = [publication("acme", n, billing_ref=ref, name=f"Name {n}") for n in (3, 7, 5, 6, 4)]
    await asyncio.gather(*map(world.directory.publish, orders), return_exceptions=True)
    assert await world.rows("directory", "SELECT name, revision FROM clients") == [("Name 7", 7)]


async def test_the_same_publication_again_adds_nothing_and_answers_the_same(world: World) -> None:
    ref = await world.register("acme")
    order = replace(publication("acme", 2, billing_ref=ref), entries=ENTRIES, first_entry=1)
    first = await world.directory.publish(order)
    assert await world.directory.publish(order) == first
    assert first.last_entry == 2
    history = await world.rows("directory", "SELECT entry, text, facts FROM history ORDER BY entry")
    assert history == [(1, "line 1", '{"n": "1"}'), (2, "line 2", '{"n": "2"}')]


async def test_history_goes_on_where_it_was(world: World) -> None:
    ref = await world.register("acme")
    await world.directory.publish(replace(publication("acme", 2, billing_ref=ref), entries=ENTRIES[:1]))
    answer = await world.directory.publish(
        replace(publication("acme", 3, billing_ref=ref), entries=ENTRIES, first_entry=1)
    )
    assert answer.last_entry == 2
    assert len(await world.rows("directory", "SELECT FROM history")) == 2


async def test_what_was_proven_comes_from_the_workflow_too_and_never_sinks(world: World) -> None:
    ref = await world.register("acme")
    for revision, proven in ((2, 2), (3, 0)):
        order = replace(
            publication("acme", revision, billing_ref=ref),
            wanted={TELEPHONY: 2, INTERNET: 0},
            proven={TELEPHONY: proven},
        )
        await world.directory.publish(order)
        rows = await world.rows(
            "directory",
            "SELECT s.proven, c.provisioning FROM clients c JOIN client_systems s USING (client_id) "
            "WHERE s.system = 'telephony'",
        )
        assert rows == [(2, "settled")]


async def test_registering_twice_is_registering_once(world: World) -> None:
    order = registration("acme", ONE, TWO)
    first, second = await asyncio.gather(world.directory.publish(order), world.directory.publish(order))
    assert first == second
    assert first.lost is None
    assert await world.rows("directory", "SELECT number FROM numbers ORDER BY number") == [(ONE,), (TWO,)]


async def test_a_client_id_is_never_used_twice(world: World) -> None:
    await world.register("acme")
    answer = await world.directory.publish(registration("acme", ONE, first_run="another run"))
    assert answer.lost is not None
    assert (answer.lost.type, answer.lost.field) == ("ClientIdTaken", "client_id")
    assert await world.rows("directory", "SELECT FROM numbers") == []


async def test_two_clients_registering_one_id_at_once_are_one_client(world: World) -> None:
    runs = [registration("acme", first_run=f"run {n}") for n in range(6)]
    answers = await asyncio.gather(*map(world.directory.publish, runs))
    assert sorted(a.lost.type if a.lost else "won" for a in answers) == ["ClientIdTaken"] * 5 + ["won"]


async def test_another_workflow_of_the_same_client_may_not_publish(world: World) -> None:
    ref = await world.register("acme")
    order = replace(publication("acme", 9, billing_ref=ref), incarnation="another run")
    with pytest.raises(ApplicationError, match="another workflow's client acme") as refused:
        await world.directory.publish(order)
    assert refused.value.category is ApplicationErrorCategory.BENIGN


async def test_a_client_that_the_directory_lost_comes_back_with_its_next_publication(world: World) -> None:
    await world.directory.publish(publication("acme", 6, ONE, billing_ref="R-1"))
    assert await world.rows("directory", "SELECT billing_ref, revision FROM clients") == [("R-1", 6)]
    assert await world.rows("directory", "SELECT number FROM numbers") == [(ONE,)]


async def test_a_site_that_does_not_exist_is_named(world: World) -> None:
    order = replace(registration("acme"), view=view_of("acme", 1, site="par"))
    with pytest.raises(ApplicationError, match=r"Key \(site_id\)=\(par\) is not present") as raised:
        await world.directory.publish(order)
    assert raised.value.non_retryable


async def test_names_are_in_the_order_of_a_dictionary_and_the_longest_fits_an_index(world: World) -> None:
    names = ["Acme", "alpha ltd", "Ärger", "Zeta", "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 200]
    for number, name in enumerate(reversed(names)):
        ref = await world.register(f"client-{number}")
        await world.directory.publish(publication(f"client-{number}", 2, billing_ref=ref, name=name))
    assert await world.rows("directory", "SELECT name FROM clients ORDER BY sort_name") == [(name,) for name in names]


# -- what commands were answered --------------------------------------------------------------------------------------

OBEYED = Answer("k1", "f1", True, "Suspended by billing", "suspend", 1)
ANSWERS = """
SELECT command_id, kind, changed, message, refusal->>'type' || ': ' || (refusal->>'why') FROM answers
ORDER BY command_id"""


async def test_answers_are_kept_with_the_lines_that_they_are_of_once(world: World) -> None:
    ref = await world.register("acme")
    turned = replace(OBEYED, command_id="k2", changed=False, message="no", refusal={"type": "Refusal", "why": "no"})
    for revision in (2, 3):
        await world.directory.publish(replace(publication("acme", revision, billing_ref=ref), answers=[OBEYED, turned]))
    assert await world.rows("directory", ANSWERS) == [
        ("k1", "suspend", True, "Suspended by billing", None),
        ("k2", "suspend", False, "no", "Refusal: no"),
    ]


async def test_the_first_verdict_stands_but_what_was_done_counts_over_a_refusal(world: World) -> None:
    ref = await world.register("acme")
    refused = replace(OBEYED, changed=False, message="no", refusal={"type": "Refusal"})
    for revision, answer in ((2, refused), (3, OBEYED), (4, refused), (5, replace(OBEYED, message="again"))):
        await world.directory.publish(replace(publication("acme", revision, billing_ref=ref), answers=[answer]))
    assert await world.rows("directory", ANSWERS) == [("k1", "suspend", True, "Suspended by billing", None)]


async def test_one_key_makes_one_client(world: World) -> None:
    made = Answer("k1", "f1", True, "Created", "create", 1)
    first = await world.directory.publish(replace(registration("acme", ONE), answers=[made]))
    second = await world.directory.publish(replace(registration("other", TWO), answers=[made]))
    assert (first.lost, second.lost and second.lost.type) == (None, "CommandIdReused")
    assert await world.rows("directory", "SELECT client_id FROM clients") == [("acme",)]
    assert (await world.directory.publish(replace(registration("acme", ONE), answers=[made]))).lost is None
