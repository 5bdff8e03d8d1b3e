"""Who is let in to the mail server, how many at once, and how much they may hold."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Protocol

SHUTTING_DOWN = "421 4.3.2 Shutting down, try again later"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """What one server grants."""

    mail_bytes: int = 31_457_280
    held_bytes: int = 268_435_456
    """Of all mails that are being received together; beyond it a mail is put off (451)."""
    connections: int = 1_000
    connections_per_address: int = 50
    unlimited_addresses: frozenset[str] = frozenset({"127.0.0.1", "::1"})
    """Peers without the limit per address: a mail server in front brings everybody's mail."""
    recipients: int = 100
    idle_seconds: float = 300.0
    session_seconds: float = 600.0
    work_seconds: float = 20.0
    """For reading and storing a mail, before the client is told to come back."""
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Peers that say first whom they connect for (PROXY protocol)."""
    proxy_seconds: float = 5.0
    lmtp: bool = False
    """Speak LMTP (RFC 2033): a mail server of ours is in front, and has taken the mail."""


class Guest(Protocol):
    """A session that may be let in."""

    @property
    def has_mail(self) -> bool:
        """Whether a mail is on its way in."""

    @property
    def task(self) -> asyncio.Task[None] | None:
        """What serves it."""

    def dismiss(self, reply: str) -> None:
        """Say why, and end it."""


@dataclass(slots=True)
class Gate:
    """Who is in, and how much they hold."""

    limits: SessionLimits
    sessions: set[Guest] = field(default_factory=set)
    draining: bool = False
    _per_address: Counter[str] = field(default_factory=Counter)
    _held: int = 0

    def admit(self, session: Guest, address: str) -> str | None:
        """None when let in, else the reply that turns it away."""
        limits = self.limits
        if self.draining:
            return SHUTTING_DOWN
        if len(self.sessions) >= limits.connections:
            return "421 4.3.2 Too many connections, try again later"
        limited = address not in limits.unlimited_addresses and not self.is_proxy(address)
        if limited and self._per_address[address] >= limits.connections_per_address:
            return "421 4.7.0 Too many connections from your address, try again later"
        self.sessions.add(session)
        self._per_address[address] += 1
        return None

    def is_proxy(self, address: str) -> bool:
        """Whether a peer connects for others."""
        if not self.limits.proxies:
            return False
        try:
            peer = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(peer in network for network in self.limits.proxies if network.version == peer.version)

    def readmit(self, session: Guest, old: str, new: str) -> str | None:
        """The session turns out to be of another address; None when let in, else the reply."""
        self.leave(session, old)
        return self.admit(session, new)

    def leave(self, session: Guest, address: str) -> None:
        """The session is over; one that was not let in has nothing to give back."""
        if session not in self.sessions:
            return
        self.sessions.discard(session)
        self._per_address[address] -= 1
        if not self._per_address[address]:
            del self._per_address[address]

    def hold(self, size: int) -> bool:
        """Whether so many more bytes may be held."""
        if self._held + size > self.limits.held_bytes:
            return False
        self._held += size
        return True

    def release(self, size: int) -> None:
        """So many bytes are no longer held."""
        self._held -= size
