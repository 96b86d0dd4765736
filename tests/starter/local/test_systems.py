"""FreeRADIUS and Kamailio that are not there, said before anything starts; and what they find in their folders."""

from pathlib import Path

import pytest

from starter.local.children import StartFailed
from starter.local.postgres import EmbeddedPostgres
from starter.local.systems import PACKAGES, FreeRadius, Kamailio, check_installed, identity_of


def test_what_is_not_installed_is_named_with_the_way_to_it(tmp_path: Path) -> None:
    for brings in list(PACKAGES.values())[:3]:
        file = tmp_path / brings
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    with pytest.raises(StartFailed) as missing:
        check_installed(tmp_path)
    words = str(missing.value)
    assert "there is no kamailio-postgres-modules here" in words
    assert f"apt-get install --no-install-recommends {' '.join(PACKAGES)}" in words
    assert "/usr/sbin/policy-rc.d" in words
    there = tmp_path / "lib/x86_64-linux-gnu/kamailio/modules/db_postgres.so"
    there.parent.mkdir(parents=True)
    there.touch()
    check_installed(tmp_path)


def test_a_daemon_whose_account_is_not_there_does_not_run_as_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(
        StartFailed, match=r"no account freerad-elsewhere, which a package of freeradius.* reinstall it"
    ):
        identity_of("freerad-elsewhere")
    assert identity_of("daemon")["extra_groups"] == []
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert identity_of("freerad-elsewhere") == {}


def test_no_secret_is_in_an_argument_or_an_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    passwords = {"radius_daemon": "of-radius", "sip_daemon": "of-sip"}
    server = EmbeddedPostgres(tmp_path / "postgres", 5432, "secret", passwords=passwords)
    radius = FreeRadius(server, 1812, "secret", tmp_path / "radius", tmp_path / "log")
    sip = Kamailio(server, 5060, "sip.test", "secret", tmp_path / "sip", tmp_path / "log")
    for daemon in (radius, sip):
        assert daemon.env
        for text in (*map(str, daemon.argv), *daemon.env.values()):
            assert "secret" not in text
            assert "of-" not in text
    whole = {**(radius.env or {}), **(sip.env or {})}
    assert whole["RADIUS_DB"].startswith("host=127.0.0.1 port=5432 dbname=radius user=radius_daemon passfile=")
    assert whole["SIP_DB_URL"] == "postgres://sip_daemon@127.0.0.1:5432/kamailio"
    assert server.passfile("sip_daemon") == "*:*:*:sip_daemon:of-sip\n"
