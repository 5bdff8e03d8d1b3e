"""Looks up the names of webhook receivers, each on a thread of its own.

Anybody may name a receiver, and a name server may keep silent for half a minute. On the threads that the loop
shares out, a handful of such names would hold up every other name that the process looks up.
"""

import asyncio
import socket
from contextlib import suppress
from threading import Thread
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

AT_ONCE = 64
"""Lookups under way; aiohttp makes one at a time for each name."""


class NameLookups(AbstractResolver):
    """What aiohttp's connector asks.

    Nobody waits for a lookup that hangs: not who has given up on it, and not the end of the process.
    """

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(AT_ONCE)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Every address of a name. Raises OSError."""
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[Any]] = loop.create_future()

        def settle(answer: list[Any] | OSError) -> None:
            self._free.release()
            if found.done():
                return
            if isinstance(answer, OSError):
                found.set_exception(answer)
            else:
                found.set_result(answer)

        def look_up() -> None:
            answer: list[Any] | OSError
            try:
                answer = socket.getaddrinfo(
                    host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
                )
            except OSError as error:
                answer = error
            except UnicodeError:
                answer = OSError("this is no name")
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, answer)

        Thread(target=look_up, name="webhook-name", daemon=True).start()
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in await found
        ]

    async def close(self) -> None:
        """Nothing is held."""
