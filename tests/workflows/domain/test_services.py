"""What a client may have contracted, and how it changes."""

import pytest

from tests.support.builders import LIFT, LINE, RESIDENTIAL, SECOND, THIRD, VIRTUAL
from workflows.domain.errors import (
    InternetNotAllowed,
    InvalidField,
    OfficeMissing,
    OfficeNotAllowed,
    UnknownLine,
)
from workflows.domain.services import MOST_LINES, ClientType, Internet, Line, Service, Services


@pytest.mark.parametrize("number", ["+4420794", "+442079460001", "+123456789012345"])
def test_a_number_is_a_plus_and_7_to_15_digits(number: str) -> None:
    assert Line(number).number == number


@pytest.mark.parametrize(
    "number",
    [
        "",
        "442079460001",
        "+0442079460001",
        "+44 20 7946 0001",
        "+442079",
        "+1234567890123456",
        "+442079460001\n",
        "+44207946000x",
        "+٤٤٢٠٧٩٤٦٠",
        "+44207946000१",
    ],
)
def test_what_is_no_number_is_refused(number: str) -> None:
    with pytest.raises(InvalidField) as refused:
        Line(number)
    assert refused.value.field == "number"
    assert "+442079460001" in refused.value.remedy


@pytest.mark.parametrize("office", ["", "  ", "x" * 65, "3.12\n", "3\0"])
def test_what_is_no_room_label_is_refused(office: str) -> None:
    with pytest.raises(InvalidField) as refused:
        Line(LINE.number, office)
    assert refused.value.field == "office"


@pytest.mark.parametrize(
    ("down", "up", "vlan", "field"),
    [
        (0, 1, None, "down_mbps"),
        (1_000_001, 1, None, "down_mbps"),
        (1, -5, None, "up_mbps"),
        (1, 1, 0, "vlan"),
        (1, 1, 4095, "vlan"),
    ],
)
def test_rates_and_vlans_have_bounds(down: int, up: int, vlan: int | None, field: str) -> None:
    with pytest.raises(InvalidField) as refused:
        Internet(down, up, vlan)
    assert refused.value.field == field
    assert refused.value.remedy


def test_offices_are_those_of_the_lines_and_the_rooms_once_each_in_reading_order() -> None:
    lines = (Line("+442079460001", "3.12"), Line("+442079460002", "3.2"), Line("+442079460003", "3.12"))
    services = Services(ClientType.RESIDENTIAL, lines, rooms=("Lift", "10.1", "3.2"))
    assert services.offices == ("3.2", "3.12", "10.1", "Lift")
    assert services.office_label == "3.2, 3.12, 10.1, Lift"


@pytest.mark.parametrize("office", ["²", "3²", "१२", "Büro ½", "9" * 64, "①"])
def test_offices_with_digits_of_every_script_have_an_order(office: str) -> None:
    services = Services(ClientType.RESIDENTIAL, rooms=(office, "3.12", "Lift"))
    assert set(services.offices) == {office, "3.12", "Lift"}


def test_a_virtual_client_shows_virtual_client_as_its_office() -> None:
    assert (VIRTUAL.office_label, VIRTUAL.offices) == ("Virtual Client", ())


def test_a_virtual_client_has_no_office_no_room_and_no_internet() -> None:
    with pytest.raises(OfficeNotAllowed) as office:
        Services(ClientType.VIRTUAL, (LINE,))
    with pytest.raises(OfficeNotAllowed) as room:
        Services(ClientType.VIRTUAL, rooms=("3.12",))
    with pytest.raises(InternetNotAllowed) as internet:
        Services(ClientType.VIRTUAL, internet=Internet(1, 1))
    assert [r.value.field for r in (office, room, internet)] == ["lines", "offices", "internet"]


def test_every_line_of_a_residential_client_is_in_an_office() -> None:
    with pytest.raises(OfficeMissing) as refused:
        Services(ClientType.RESIDENTIAL, (Line("+442079460001"),))
    assert refused.value.field == "lines"
    assert "+442079460001@3.12" in refused.value.remedy


def test_a_number_is_given_once() -> None:
    with pytest.raises(InvalidField, match="given twice"):
        Services(ClientType.RESIDENTIAL, (LINE, Line(LINE.number, "4.1")))


def test_there_is_a_most_of_lines_and_of_rooms() -> None:
    lines = tuple(Line(f"+4420794{number:05}", "1") for number in range(MOST_LINES + 1))
    assert len(Services(ClientType.RESIDENTIAL, lines[1:]).lines) == MOST_LINES
    with pytest.raises(InvalidField) as many:
        Services(ClientType.RESIDENTIAL, lines)
    with pytest.raises(InvalidField) as rooms:
        Services(ClientType.RESIDENTIAL, rooms=("1",) * (MOST_LINES + 1))
    assert (many.value.field, rooms.value.field) == ("lines", "offices")


# -- changes ----------------------------------------------------------------------------------------------------------


def test_lines_are_added_moved_and_removed_and_the_others_keep_their_place() -> None:
    moved = Line(LINE.number, "9.9", protected=True)
    services = RESIDENTIAL.changed((THIRD, moved), (SECOND.number,))
    assert services.lines == (moved, THIRD)
    assert services.internet == RESIDENTIAL.internet


def test_internet_is_kept_set_or_ended() -> None:
    assert RESIDENTIAL.changed().internet == Internet(100, 20, 110)
    assert RESIDENTIAL.changed(internet=Internet(5, 5)).internet == Internet(5, 5)
    assert RESIDENTIAL.changed(internet="none").internet is None


@pytest.mark.parametrize(
    ("services", "add", "remove", "field"),
    [
        (RESIDENTIAL, (), (THIRD.number,), "remove_lines"),
        (RESIDENTIAL, (LINE,), (LINE.number,), "remove_lines"),
        (RESIDENTIAL, (THIRD, THIRD), (), "add_lines"),
        (RESIDENTIAL, (Line(THIRD.number),), (), "add_lines"),
        (VIRTUAL, (THIRD,), (), "add_lines"),
    ],
)
def test_a_change_that_cannot_be_names_the_field_it_was_given_in(
    services: Services, add: tuple[Line, ...], remove: tuple[str, ...], field: str
) -> None:
    with pytest.raises(InvalidField) as refused:
        services.changed(add, remove)
    assert refused.value.field == field
    assert refused.value.remedy


def test_a_virtual_client_gets_no_internet_by_a_change() -> None:
    with pytest.raises(InternetNotAllowed) as refused:
        VIRTUAL.changed(internet=Internet(1, 1))
    assert refused.value.field == "internet"
    assert "convert" in refused.value.remedy


# -- conversions ------------------------------------------------------------------------------------------------------


def test_to_virtual_offices_and_internet_end_and_lines_and_numbers_stay() -> None:
    services = Services(ClientType.RESIDENTIAL, (LINE, LIFT), Internet(1, 1), ("8.1",)).as_virtual()
    assert services == Services(ClientType.VIRTUAL, (Line(LINE.number), Line(LIFT.number, protected=True)))


def test_to_residential_each_line_gets_its_office() -> None:
    placed = (Line("+442079460001", "1.1"), Line("+442079460002", "1.2"))
    services = VIRTUAL.as_residential(placed, ("1.3",), Internet(10, 10))
    assert services == Services(ClientType.RESIDENTIAL, placed, Internet(10, 10), ("1.3",))


@pytest.mark.parametrize(
    ("placed", "rooms"), [((), ("1.1",)), ((Line("+442079460001", "1.1"),), ()), ((Line("+442079460001"),), ("1.1",))]
)
def test_to_residential_with_one_office_in_all_every_line_goes_there(
    placed: tuple[Line, ...], rooms: tuple[str, ...]
) -> None:
    services = VIRTUAL.as_residential(placed, rooms, None)
    assert [line.office for line in services.lines] == ["1.1", "1.1"]


def test_to_residential_without_an_office_is_refused() -> None:
    with pytest.raises(OfficeMissing) as refused:
        VIRTUAL.as_residential((), (), Internet(1, 1))
    assert (refused.value.field, refused.value.remedy) == ("lines", "Give each line its office")
    with pytest.raises(OfficeMissing) as empty:
        Services(ClientType.VIRTUAL).as_residential((), (), None)
    assert (empty.value.field, empty.value.remedy) == ("offices", "Give offices")


def test_to_residential_with_several_offices_a_line_without_one_is_refused() -> None:
    with pytest.raises(OfficeMissing, match=r"\+442079460002 has no office"):
        VIRTUAL.as_residential((Line("+442079460001", "1.1"),), ("1.2",), None)


def test_to_residential_an_unknown_or_repeated_number_is_refused() -> None:
    with pytest.raises(UnknownLine):
        VIRTUAL.as_residential((THIRD,), (), None)
    with pytest.raises(InvalidField, match="placed twice"):
        VIRTUAL.as_residential((LINE, Line(LINE.number, "8.8")), (), None)


@pytest.mark.parametrize("kind", ["telephony", "internet", "directory", "workflow", "Doors", "all doors", ""])
def test_no_further_kind_has_a_name_that_keys_and_lists_have_for_something_else(kind: str) -> None:
    with pytest.raises(InvalidField, match="is not a further kind of service") as refused:
        Service(kind, "main-entrance")
    assert refused.value.field == "services"
