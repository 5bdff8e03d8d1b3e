"""A DNS server on loopback (UDP): a zone as a dictionary, and failures on request."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

Record = tuple[str, str]
"""(type, value): `("TXT", "v=spf1 -all")`, `("MX", "10 mx.example.org")`; a value `FAIL` fails that type."""
FAIL = "FAIL"
_STRING = 255


class FakeDns(asyncio.DatagramProtocol):
    """Answers from `zone`, which may be changed at any time; names are compared in lower case."""

    def __init__(self, zone: Mapping[str, Iterable[Record]] | None = None) -> None:
        self.zone: dict[str, list[Record]] = {}
        self.asked: Counter[tuple[str, str]] = Counter()
        self.silent = False
        """Answer nothing at all."""
        self.port = 0
        self.add(zone or {})

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return "127.0.0.1", self.port

    def add(self, zone: Mapping[str, Iterable[Record]]) -> None:
        for name, records in zone.items():
            self.zone.setdefault(name.lower(), []).extend(records)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        if self.silent:
            return
        query = dns.message.from_wire(data)
        answer = self._answer(query).to_wire(max_size=65_535)
        self._transport.sendto(answer, addr)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        [question] = query.question
        name = b".".join(question.name.labels[:-1]).decode("latin-1").lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked[name, kind] += 1
        if (kind, FAIL) in self.zone.get(name, []):
            response.set_rcode(dns.rcode.SERVFAIL)
        elif name not in self.zone:
            response.set_rcode(dns.rcode.NXDOMAIN)
        else:
            self._fill(response, name, kind)
        return response

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> None:
        """The records of a name; a CNAME is followed once."""
        found = self.zone.get(name, [])
        wanted = [(name, t, v) for t, v in found if t in (kind, "CNAME")]
        for _, kind_found, value in list(wanted):
            if kind_found == "CNAME":
                wanted += [(value.lower(), t, v) for t, v in self.zone.get(value.lower(), []) if t == kind]
        for owner, kind_found, value in wanted:
            text = _quoted(value) if kind_found == "TXT" else _dotted(kind_found, value)
            response.answer.append(
                dns.rrset.from_text(_name(owner), 300, "IN", dns.rdatatype.from_text(kind_found), text)
            )


@asynccontextmanager
async def fake_dns(zone: Mapping[str, Iterable[Record]] | None = None) -> AsyncIterator[FakeDns]:
    """A server that runs as long as the block does."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: FakeDns(zone), ("127.0.0.1", 0))
    server.port = transport.get_extra_info("sockname")[1]
    try:
        yield server
    finally:
        transport.close()


def _name(text: str) -> dns.name.Name:
    return dns.name.Name([*(label.encode("latin-1") for label in text.split(".")), b""])


def _quoted(value: str) -> str:
    content = value.encode("utf-8")
    pieces = [content[at : at + _STRING] for at in range(0, len(content), _STRING)] or [b""]
    return " ".join('"' + "".join(f"\\{byte:03d}" for byte in piece) + '"' for piece in pieces)


def _dotted(kind: str, value: str) -> str:
    return f"{value}." if kind in ("MX", "PTR", "CNAME") and not value.endswith(".") else value
