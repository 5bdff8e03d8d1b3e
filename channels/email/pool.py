"""A few connections to one SMTP relay, kept open between mails."""

import asyncio
import ssl
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from aiosmtplib import SMTP, SMTPException

MAX_CONNECTIONS = 5
MAX_MAILS = 100
"""Mails over one connection; relays count too."""
IDLE_SECONDS = 30.0
_QUIT_SECONDS = 1.0
_DEFAULT_PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}


@dataclass(frozen=True, slots=True)
class RelayAddress:
    """A relay, from `smtp://`, `smtps://` or `smtp+starttls://user:password@host:port`."""

    host: str
    port: int
    implicit_tls: bool
    start_tls: bool
    username: str | None
    password: str | None

    @classmethod
    def from_url(cls, url: str) -> "RelayAddress":
        """Raises ValueError where the URL is none of the three."""
        parts = urlsplit(url)
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise ValueError(
                "a relay is written smtp://, smtps:// or smtp+starttls://[user:password@]host[:port]"
            )
        return cls(
            host=parts.hostname,
            port=parts.port or _DEFAULT_PORTS[parts.scheme],
            implicit_tls=parts.scheme == "smtps",
            start_tls=parts.scheme == "smtp+starttls",
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )

    def __repr__(self) -> str:
        return f"RelayAddress({self.host}:{self.port})"


@dataclass(slots=True)
class Connection:
    """A connection, and how much it was used."""

    client: SMTP
    mails: int = 0
    idle_since: float = 0.0


class SmtpPool:
    """Hands out connections that have just answered. Belongs to one event loop."""

    def __init__(
        self,
        relay: RelayAddress,
        local_hostname: str,
        *,
        idle_seconds: float = IDLE_SECONDS,
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        self._relay = relay
        self._local_hostname = local_hostname
        self._idle_seconds = idle_seconds
        self._tls_context = tls_context
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        self._idle: deque[Connection] = deque()
        self._reaper: asyncio.TimerHandle | None = None

    async def take(self) -> Connection:
        """A connection for one mail; give it back. Raises SMTPException or OSError where none can be made."""
        await self._free.acquire()
        try:
            while self._idle:
                connection = self._idle.pop()
                if await self._answers(connection):
                    return connection
            return Connection(await self._connect())
        except BaseException:
            self._free.release()
            raise

    def give(self, connection: Connection, *, usable: bool) -> None:
        """Take a connection back; one that is not `usable` or has done enough is closed."""
        connection.mails += 1
        if usable and connection.client.is_connected and connection.mails < MAX_MAILS:
            loop = asyncio.get_running_loop()
            connection.idle_since = loop.time()
            self._idle.append(connection)
            if self._reaper is None:
                self._reaper = loop.call_later(self._idle_seconds, self._close_idle)
        else:
            connection.client.close()
        self._free.release()

    async def close(self) -> None:
        """Take leave of the relay."""
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        while self._idle:
            client = self._idle.pop().client
            with suppress(SMTPException, OSError):
                await client.quit(timeout=_QUIT_SECONDS)
            client.close()

    async def _connect(self) -> SMTP:
        relay = self._relay
        client = SMTP(
            hostname=relay.host,
            port=relay.port,
            username=relay.username,
            password=relay.password,
            use_tls=relay.implicit_tls,
            start_tls=relay.start_tls,
            local_hostname=self._local_hostname,
            tls_context=self._tls_context,
        )
        await client.connect()
        if client.is_ehlo_or_helo_needed:
            try:
                await client.ehlo()
            except BaseException:
                client.close()
                raise
        return client

    async def _answers(self, connection: Connection) -> bool:
        """Whether an idle connection is still good: RSET also clears what the last mail left."""
        try:
            await connection.client.rset()
        except (SMTPException, OSError):
            connection.client.close()
            return False
        except BaseException:
            connection.client.close()
            raise
        return True

    def _close_idle(self) -> None:
        loop = asyncio.get_running_loop()
        self._reaper = None
        while self._idle and self._idle[0].idle_since + self._idle_seconds <= loop.time():
            self._idle.popleft().client.close()
        if self._idle:
            due = self._idle[0].idle_since + self._idle_seconds
            self._reaper = loop.call_at(due, self._close_idle)
