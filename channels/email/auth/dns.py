"""The DNS as mail authentication asks it: five kinds of records, remembered, within a time limit.

What is there, what is not, and "no answer now" are three things: only the last is worth asking again, and a
mail that hangs on it is put off rather than taken for unproven.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from dns.asyncresolver import Resolver
from dns.exception import DNSException
from dns.name import Name
from dns.resolver import NXDOMAIN, LRUCache, NoAnswer

LOOKUP_SECONDS = 5.0
"""How long one question may take, over all servers and tries."""
MAX_REMEMBERED = 20_000
MAX_VALUES = 100
"""Records of one answer that are looked at."""


class RecordType(StrEnum):
    """The kinds asked for."""

    TXT = "TXT"
    A = "A"
    AAAA = "AAAA"
    MX = "MX"
    PTR = "PTR"


class NoAnswerNow(Exception):
    """The DNS could not be asked, or failed: the same question may be answered later."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a name has of one kind. Names are lower-case and without closing dot."""

    values: tuple[str, ...] = ()
    """TXT: the strings of a record joined, byte by byte (latin-1). MX: host names, the preferred first."""
    exists: bool = True
    """False: there is no such name at all."""


class Dns(Protocol):
    """Answers questions about names."""

    async def look_up(self, name: str, kind: RecordType) -> Answer:
        """Raises NoAnswerNow. A name that cannot exist does not."""
        ...


class CachedDns:
    """A `Dns` that asks one server, or those of the system, and remembers for as long as records say."""

    def __init__(self, server: tuple[str, int] | None = None, seconds: float = LOOKUP_SECONDS) -> None:
        """Raises dns.resolver.NoResolverConfiguration where the system names no server."""
        self._resolver = Resolver(configure=server is None)
        if server is not None:
            self._resolver.nameservers = [server[0]]
            self._resolver.port = server[1]
        self._resolver.lifetime = seconds
        self._resolver.timeout = seconds / 2
        self._resolver.cache = LRUCache(MAX_REMEMBERED)

    async def look_up(self, name: str, kind: RecordType) -> Answer:
        """Raises NoAnswerNow after the time limit."""
        try:
            absolute = _absolute(name.rstrip("."))
        except (DNSException, UnicodeError):
            return Answer(exists=False)
        try:
            answer = await self._resolver.resolve(absolute, kind.value, search=False)
        except NXDOMAIN:
            return Answer(exists=False)
        except NoAnswer:
            return Answer()
        except (DNSException, OSError, ValueError) as error:
            raise NoAnswerNow(f"{kind} of {name}: {type(error).__name__}") from error
        records = list(answer)[:MAX_VALUES]
        if kind is RecordType.TXT:
            return Answer(tuple(b"".join(record.strings).decode("latin-1") for record in records))
        if kind is RecordType.MX:
            records.sort(key=lambda record: record.preference)
            return Answer(tuple(_host(record.exchange) for record in records))
        if kind is RecordType.PTR:
            return Answer(tuple(_host(record.target) for record in records))
        return Answer(tuple(record.address for record in records))


def _absolute(name: str) -> Name:
    """The name by its labels, so that no character of it is taken for an escape."""
    ascii_name = name.encode("ascii" if name.isascii() else "idna")
    return Name([*ascii_name.split(b"."), b""])


def _host(name: object) -> str:
    return str(name).rstrip(".").lower()
