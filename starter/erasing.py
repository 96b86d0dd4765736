"""Erasing a client: the directory forgets who it was, and its key is destroyed, with all that is encrypted with it.

Both remember who was erased. What one of them knows, the other is told when a process starts and every hour: a backup
of the directory from before, once restored, is erased anew.
"""

import asyncio
from datetime import UTC, datetime, timedelta

import structlog

from activities.keys.client_keys import KeysAway
from activities.keys.encryption import Encryption
from starter.clients import ClientService, check_id
from starter.contract.answers import ErasedClient
from starter.directory.erasing import check_erasable, erase, which_are_erased
from starter.errors import DirectoryAway, KeysUnreadable, NoSuchClient, NotErasable, NotRunning

log = structlog.get_logger(__name__)

PAUSE, EVERY = 2.0, 3600.0  # seconds until it is tried again, and between two looks


class Eraser:
    """Erases clients. ``retention`` is for how long they are kept after their end."""

    def __init__(self, clients: ClientService, retention: timedelta = timedelta(days=30)) -> None:
        self._clients, self._retention = clients, retention

    @property
    def _encryption(self) -> Encryption:
        """Where keys are, also if none encrypts."""
        encryption = self._clients.gateway.encryption
        assert encryption, "only a test's gateway has none"
        return encryption

    async def erase(self, client_id: str, by: str) -> ErasedClient:
        """Erase a client for good. One that was erased stays so. Raises NoSuchClient, NotErasable or Away; after Away
        the same request completes it."""
        await self._check_over(client_id)
        at = await self._erase(client_id, by, self._retention)
        log.info("client_erased", client_id=client_id)
        return ErasedClient(client_id=client_id, erased_at=at)

    async def check(self, client_id: str) -> None:
        """Raises NotErasable with what keeps the client from being erased, NoSuchClient or Away. Nothing is done."""
        await self._check_over(client_id)
        await check_erasable(self._clients.directory.database, client_id, datetime.now(UTC), self._retention)

    async def agree(self) -> None:
        """Erase everywhere who was erased in one place. Raises DirectoryAway, KeysUnreadable."""
        try:
            destroyed = await self._encryption.destroyed()
        except KeysAway as away:
            raise KeysUnreadable(str(away)) from away
        known = await which_are_erased(self._clients.directory.database, destroyed)
        for client_id, erased in known.items():
            if not (erased and client_id in destroyed):
                await self._erase(client_id, "connect", None)
                log.warning("client_erased_again", client_id=client_id)

    async def keep_agreeing(self) -> None:
        """Agree now and every hour."""
        while True:
            try:
                await self.agree()
            except (DirectoryAway, KeysUnreadable, NoSuchClient) as away:
                log.info("erased_clients_not_compared_yet", error=str(away))
                await asyncio.sleep(PAUSE)
                continue
            await asyncio.sleep(EVERY)

    async def _check_over(self, client_id: str) -> None:
        check_id(client_id)
        try:
            await self._clients.gateway.client(client_id)
        except NotRunning:
            return
        why = f"Client {client_id} is not over: it is not decommissioned, or not proven off"
        raise NotErasable(why, f"Decommission it, and see what its systems say: connect client show {client_id}")

    async def _erase(self, client_id: str, by: str, retention: timedelta | None) -> datetime:
        at = await erase(self._clients.directory.database, client_id, by, datetime.now(UTC), retention)
        try:
            await self._encryption.destroy([client_id])
        except KeysAway as away:
            raise KeysUnreadable(f"Client {client_id} is erased in part: repeat this to complete it. {away}") from away
        return at
