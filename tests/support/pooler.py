"""A connection pooler in front of PostgreSQL, which does with the parameters of a session what pgbouncer may."""

import asyncio
import struct
from collections.abc import Collection

from tests.support.cut_proxy import CutProxy

STARTUP = 196608  # PostgreSQL manual, 54.7: StartupMessage, protocol 3.0


class Pooler(CutProxy):
    """Forwards to ``target``, without the parameters that it is to ``ignore``."""

    def __init__(self, host: str, port: int, ignore: Collection[str]) -> None:
        super().__init__(host, port)
        self.ignore = ignore

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        while not answers:
            length, code = struct.unpack("!II", head := await reader.readexactly(8))
            body = await reader.readexactly(length - 8)
            if code == STARTUP:
                break
            writer.write(head + body)
        if not answers:
            words = body.rstrip(b"\0").split(b"\0")
            named = {name.decode(): value for name, value in zip(words[::2], words[1::2], strict=True)}
            parameters = [(name, value) for name, value in named.items() if name not in self.ignore]
            sent = b"".join(name.encode() + b"\0" + value + b"\0" for name, value in parameters) + b"\0"
            writer.write(struct.pack("!II", len(sent) + 8, STARTUP) + sent)
        await super()._pump(reader, writer, answers=answers)
