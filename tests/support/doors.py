"""The demonstration's doors, for tests: a system of a further kind that settings alone name."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from starter.local.data_folder import have_secret
from starter.local.doors import server
from tests.support.waiting import HANGING

TOKEN = "the token of the doors"


@contextmanager
def doors(folder: Path, port: int) -> Iterator[httpx2.Client]:
    """The doors on this port, as they were left in this folder, and a caller with their token."""
    have_secret(folder / "token", TOKEN)
    with server(port, folder) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        with httpx2.Client(
            base_url=f"http://127.0.0.1:{port}/v1",
            headers={"Authorization": f"Bearer {TOKEN}"},
            trust_env=False,
            timeout=HANGING,
        ) as caller:
            yield caller
        serving.shutdown()
