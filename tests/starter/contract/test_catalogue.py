"""A kind of service goes by the title that the settings give it, in every sentence that a person reads."""

import pytest

from activities.instances import KindSettings
from starter.contract.catalogue import ONLY_BUILT_IN, Catalogue
from starter.wording import within
from workflows.domain.systems import heading, spoken

KINDS = {"cctv": KindSettings("cctv", "Cameras"), "doors": KindSettings("doors", "Doors")}
CATALOGUE = Catalogue(ONLY_BUILT_IN.kinds | KINDS, {})


@pytest.mark.parametrize(
    ("title", "phrase"),
    [("Doors", "doors"), ("Telephone lines", "telephone lines"), ("Wi-Fi", "Wi-Fi"), ("CCTV", "CCTV"), ("B", "B")],
)
def test_a_title_within_a_sentence_has_a_small_letter_unless_it_is_a_name(title: str, phrase: str) -> None:
    assert within(title) == phrase


@pytest.mark.parametrize(
    ("system", "at_first", "inside"),
    [
        ("telephony", "Telephone lines", "telephone lines"),
        ("internet", "Internet access", "internet access"),
        ("parking_spaces", "Parking spaces", "parking spaces"),
        ("meeting-rooms", "Meeting rooms", "meeting rooms"),
    ],
)
def test_a_system_goes_by_what_it_switches(system: str, at_first: str, inside: str) -> None:
    assert (heading(system), spoken(system)) == (at_first, inside)
    assert CATALOGUE.title(system) == at_first, "also one that no setting names any more"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Cctv proven: 1 on, 0 off", "Cameras proven: 1 on, 0 off"),
        ("Trying cctv again", "Trying cameras again"),
        ("With cctv, all is as decided; nothing changed", "With cameras, all is as decided; nothing changed"),
        ("Cctv not done: cctv:yard: no route", "Cameras not done: cctv:yard: no route"),
        ("Suspended by billing", "Suspended by billing"),
    ],
)
def test_a_sentence_of_a_client_has_the_title_of_the_settings(text: str, sentence: str) -> None:
    assert CATALOGUE.sentence(text, "cctv") == sentence
    assert CATALOGUE.sentence(text, "doors") == text, "its title is its name"
    assert CATALOGUE.sentence(text, "suspend") == text, "a line that is about no system"
