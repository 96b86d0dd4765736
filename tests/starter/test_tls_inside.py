"""Claims about TLS to PostgreSQL and Temporal: both sides show a certificate, and where one is wrong the message names
the setting. A relay speaks TLS in front of servers that have none."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from activities.database import Database, own_connection
from activities.errors import translated
from activities.keys.client_keys import KeysAway, destroyed
from activities.settings import Settings
from starter.directory.reads import DirectoryReads
from starter.errors import DirectoryAway
from starter.local.postgres import EmbeddedPostgres
from starter.temporal.connection import connect, connection_remedy
from tests.support.certificates import HERE, Authority, Issued
from tests.support.service import Service
from tests.support.tls_relay import tls_in_front
from tests.support.workflows import answer_of


class Certificates:
    """Those of two authorities: ours, and one that nobody here trusts."""

    def __init__(self, folder: Path) -> None:
        self.ours, self.strange = Authority(folder, "ours"), Authority(folder, "strange")
        self.server, self.client = self.ours.issue("server"), self.ours.issue("client")
        self.of_another_address = self.ours.issue("elsewhere", "127.0.0.9")
        self.of_a_stranger = self.strange.issue("client")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


Wrong = Callable[[Certificates], tuple[Issued, Path, Issued | None]]
"""The server's certificate, the authority that its clients believe in, and what they show of themselves."""

WRONG: dict[str, tuple[Wrong, str]] = {
    "of another authority": (lambda it: (it.server, it.strange.root, it.client), "self-signed certificate"),
    "for another name": (lambda it: (it.of_another_address, it.ours.root, it.client), "not valid for '127.0.0.1'"),
    "the client shows none": (lambda it: (it.server, it.ours.root, None), ""),
    "the client's is a stranger's": (lambda it: (it.server, it.ours.root, it.of_a_stranger), ""),
    "no such file": (lambda it: (it.server, it.ours.root.with_name("none"), it.client), "No such file"),
}


def right(it: Certificates) -> tuple[Issued, Path, Issued | None]:
    return it.server, it.ours.root, it.client


# -- PostgreSQL --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def to_postgres(
    postgres: EmbeddedPostgres, of: Settings, certificates: Certificates, choice: Wrong
) -> AsyncIterator[str]:
    """The URL of the directory behind TLS."""
    server, root, client = choice(certificates)
    async with tls_in_front((postgres.host, postgres.port), certificates.ours.demanding(server), starttls=True) as port:
        dsn = of.directory_dsn.get_secret_value().replace(f":{postgres.port}/", f":{port}/")
        own = f"&sslcert={client.certificate}&sslkey={client.key}" if client else ""
        yield f"{dsn}?sslmode=verify-full&sslrootcert={root}{own}"


async def test_with_the_right_certificates_the_directory_is_read_written_and_listened_to(
    postgres: EmbeddedPostgres, settings: Settings, certificates: Certificates
) -> None:
    async with to_postgres(postgres, settings, certificates, right) as dsn:
        async with Database("directory", dsn, settings) as database:
            await DirectoryReads(database).ready()
            async with database.transaction() as connection:
                assert await connection.fetchval("SELECT 1") == 1
        async with own_connection(dsn, "listening") as connection:
            spoken = connection._transport.get_extra_info("ssl_object")
            assert (spoken.version(), spoken.getpeercert()["subject"]) == ("TLSv1.3", ((("commonName", "server"),),))


@pytest.mark.parametrize(("choice", "why"), WRONG.values(), ids=WRONG)
async def test_what_is_wrong_with_a_database_is_said_with_its_setting(
    postgres: EmbeddedPostgres, settings: Settings, certificates: Certificates, choice: Wrong, why: str
) -> None:
    async with to_postgres(postgres, settings, certificates, choice) as dsn:
        for name in ("directory", "keys", "telephony"):
            async with Database(name, dsn, settings) as database:
                for text in [await message_of(database)] + [await detail_of(database)] * (name == "directory"):
                    assert why in text
                    assert f"sslrootcert, sslcert and sslkey in CONNECT_{name.upper()}_DSN" in text
                    assert "postgres:" not in text, "no password"
                if name == "keys":
                    with pytest.raises(KeysAway, match="sslkey in CONNECT_KEYS_DSN"):
                        await destroyed(database)


async def message_of(database: Database) -> str:
    """What a worker says of it."""
    with pytest.raises(Exception) as raised:  # noqa: PT011  # whatever the driver raises
        await database.read("SELECT 1")
    return translated(raised.value, database).message


async def detail_of(database: Database) -> str:
    """What the API says of it."""
    with pytest.raises(DirectoryAway) as raised:
        await DirectoryReads(database).sites()
    return str(raised.value)


async def test_a_server_without_tls_is_not_spoken_to_where_it_is_asked_for(
    postgres: EmbeddedPostgres, settings: Settings, certificates: Certificates
) -> None:
    dsn = f"{settings.directory_dsn.get_secret_value()}?sslmode=verify-full&sslrootcert={certificates.ours.root}"
    async with Database("directory", dsn, settings) as database:
        text = await message_of(database)
    assert "rejected SSL upgrade" in text
    assert "sslmode" in text
    assert "CONNECT_DIRECTORY_DSN" in text


# -- Temporal ----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def to_temporal(
    temporal: Client, certificates: Certificates, choice: Wrong, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """The environment leads to Temporal behind TLS."""
    server, root, client = choice(certificates)
    host, _, port = temporal.service_client.config.target_host.partition(":")
    async with tls_in_front((host, int(port)), certificates.ours.demanding(server)) as behind:
        monkeypatch.setenv("TEMPORAL_ADDRESS", f"{HERE}:{behind}")
        monkeypatch.setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", str(root))
        for name, file in (("CERT", client and client.certificate), ("KEY", client and client.key)):
            monkeypatch.delenv(f"TEMPORAL_TLS_CLIENT_{name}_PATH", raising=False)
            if file:
                monkeypatch.setenv(f"TEMPORAL_TLS_CLIENT_{name}_PATH", str(file))
        yield


async def test_with_the_right_certificates_temporal_is_asked(
    service: Service, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    client_id = (await service.create())["client_id"]
    async with to_temporal(service.temporal, certificates, right, monkeypatch):
        client = await connect(service.encryption.converter(), lazy=False)
        handle = client.get_workflow_handle(f"client-{client_id}")
        view: dict[str, Any] = await answer_of(lambda: handle.query("client"))
    assert view["client_id"] == client_id
    assert client.service_client.config.tls


@pytest.mark.parametrize("what", [what for what in WRONG if what != "no such file"])
async def test_what_is_wrong_with_temporal_is_said_with_its_settings(
    temporal: Client, certificates: Certificates, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice, _ = WRONG[what]
    async with to_temporal(temporal, certificates, choice, monkeypatch):
        with pytest.raises(RuntimeError, match="Failed client connect") as raised:
            await connect(lazy=False)
        for setting in ("SERVER_CA_CERT", "CLIENT_CERT", "CLIENT_KEY"):
            assert f"TEMPORAL_TLS_{setting}_PATH" in connection_remedy(raised.value)


async def test_a_file_that_is_not_there_is_said_at_the_start(
    temporal: Client, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with to_temporal(temporal, certificates, WRONG["no such file"][0], monkeypatch):
        with pytest.raises(ValueError, match=r"TEMPORAL_TLS_.*none"):
            await connect()


async def test_without_tls_nothing_is_said_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", raising=False)
    assert connection_remedy(RuntimeError("Failed client connect")) == ""
    async with Database("directory", "postgresql://127.0.0.1:1/x", Settings(directory_dsn="postgresql://x/x")) as away:
        assert "sslmode" not in translated(ConnectionResetError("connection was closed"), away).message
        assert "sslmode" not in translated(ssl.SSLError("x"), away).message
