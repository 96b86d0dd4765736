"""Whether and with which keys a process encrypts what Temporal keeps of clients."""

from collections.abc import Collection
from typing import Self

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter

from activities.database import Database
from activities.keys.client_keys import ClientKeys, check_used, destroy, destroyed, keys_in_use
from activities.keys.codec import converter
from activities.keys.operator_keys import OperatorKeys
from activities.settings import Settings

OFF = (
    "Names, reasons and notes of clients lie in the clear in Temporal, and erasing a client leaves them there: this "
    "process has no key of the operator. Set CONNECT_ENCRYPTION_KEYS_FILE (openssl rand -hex 32 makes a key)"
)


class Encryption:
    """What a process encrypts with, or that it does not: ``keys`` is None then. Use it as ``async with``."""

    def __init__(self, database: Database, operator: OperatorKeys | None, *, own: bool) -> None:
        """``own``: nobody else opens and closes the database."""
        self.database, self._own = database, own
        self.keys = ClientKeys(database, operator) if operator else None

    @classmethod
    def of(cls, settings: Settings, directory: Database) -> Self:
        """With the keys in a database of their own, or beside the directory. Raises ValueError for operator's keys that
        cannot be read."""
        text, dsn = settings.read_encryption_keys(), settings.keys_dsn.get_secret_value()
        database = Database("keys", dsn, settings) if dsn else directory
        return cls(database, None if text is None else OperatorKeys.parse(text), own=bool(dsn))

    async def __aenter__(self) -> Self:
        if self._own:
            await self.database.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._own:
            await self.database.__aexit__(*exc)

    def converter(self, *, makes: bool = False) -> DataConverter:
        """What a client of Temporal reads and writes with. ``makes``: as `ClientCodec` has it."""
        return converter(self.keys, makes=makes) if self.keys else pydantic_data_converter

    async def destroy(self, client_ids: Collection[str]) -> None:
        """Destroy the keys of clients, for good, also where nothing is encrypted now. Raises KeysAway."""
        await (self.keys.destroy(client_ids) if self.keys else destroy(self.database, client_ids))

    async def destroyed(self) -> set[str]:
        """The clients whose keys were destroyed. Raises KeysAway."""
        return await destroyed(self.database)

    async def check(self) -> list[str]:
        """Make sure that this process can read every client. Returns what else an operator should hear.

        Raises KeysMissing, or KeysAway while the database does not answer.
        """
        if self.keys:
            return await self.keys.check()
        check_used(await keys_in_use(self.database), None)
        return [OFF]
