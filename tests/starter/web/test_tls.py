"""The API speaks TLS itself where a certificate is set."""

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from pydantic import ValidationError

from activities.settings import Settings
from starter.web.names import Names
from tests.support.certificates import Authority
from tests.support.serve import process
from tests.support.waiting import eventually, free_port


async def test_with_a_certificate_the_api_speaks_tls(settings: Settings, tmp_path: Path) -> None:
    authority, port = Authority(tmp_path), free_port()
    issued = authority.issue("api")
    more = {"CONNECT_TLS_CERTIFICATE_FILE": str(issued.certificate), "CONNECT_TLS_KEY_FILE": str(issued.key)}
    trusted = ssl.create_default_context(cafile=authority.root)

    def get() -> httpx2.Response | None:
        with suppress(httpx2.ConnectError):
            return httpx2.get(f"https://127.0.0.1:{port}/healthz", trust_env=False, verify=trusted)
        return None

    async with process(settings, f"127.0.0.1:{free_port()}", port, more):
        answer = await eventually(lambda: asyncio.to_thread(get))
    assert answer is not None
    assert (answer.status_code, answer.headers["Strict-Transport-Security"][:8]) == (200, "max-age=")
    of_it = settings.model_copy(update={"tls_certificate_file": issued.certificate, "port": port})
    assert Names.of(of_it).public_url == f"https://127.0.0.1:{port}"


def test_a_certificate_comes_with_its_key() -> None:
    with pytest.raises(ValidationError, match="belong together"):
        Settings(directory_dsn="postgresql://there/connect", tls_certificate_file="tls.crt")
