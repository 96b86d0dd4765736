"""Secrets are derived: the same for ever, different for everything else, and printable."""

import string

from activities.secrets import ha1, radius_password, sip_password, sip_username
from tests.activities.fixtures import MASTER_KEY, ONE, TWO


def test_a_secret_is_the_same_for_ever() -> None:
    """Telephones out there are configured with it: what derives it never changes."""
    assert sip_password(MASTER_KEY, "acme", ONE, 1) == "i44lkjr3bgq4xjn52ulrgftrnzjuuqcy"


def test_every_part_makes_another_secret() -> None:
    secrets = [
        sip_password(MASTER_KEY, "acme", ONE, 1),
        sip_password(MASTER_KEY, "acme", ONE, 2),
        sip_password(MASTER_KEY, "acme", TWO, 1),
        sip_password(MASTER_KEY, "bolt", ONE, 1),
        sip_password(b"another key" * 3, "acme", ONE, 1),
        radius_password(MASTER_KEY, "acme", ONE, 1),
        radius_password(MASTER_KEY, "acme", "acme", 1),
    ]
    assert len(set(secrets)) == len(secrets)
    assert all(len(s) == 32 and set(s) <= set(string.ascii_lowercase + "234567") for s in secrets)


def test_ha1_is_what_rfc_2617_section_3_5_computes() -> None:
    assert ha1("Mufasa", "testrealm@host.com", "Circle Of Life") == "939e7578ed9e3c518a452acee763bce9"


def test_a_telephone_logs_in_with_its_number_without_the_plus() -> None:
    assert sip_username(ONE) == "442079460001"
