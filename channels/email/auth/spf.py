"""SPF: whether a client may send mail for a domain (RFC 7208). Asks the DNS as often as allowed, no more."""

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import quote

from channels.email.auth.dns import Answer, Dns, NoAnswerNow, RecordType
from channels.email.auth.spf_record import BadRecord, Macro, Mechanism, SpfRecord, is_spf, macros, read_record

MAX_LOOKUPS = 10
MAX_VOID_LOOKUPS = 2
MAX_NAMES = 10
"""Names of one MX or PTR answer that are looked up in turn."""
_MAX_NAME = 253


class SpfResult(StrEnum):
    """RFC 7208 §2.6."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"  # noqa: S105 - the word of RFC 7208
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


_QUALIFIED = {
    "+": SpfResult.PASS,
    "-": SpfResult.FAIL,
    "~": SpfResult.SOFTFAIL,
    "?": SpfResult.NEUTRAL,
}


@dataclass(frozen=True, slots=True)
class SpfClient:
    """Who connects, and what it says."""

    address: IPv4Address | IPv6Address
    sender: str
    """The envelope's sender; empty for a report."""
    helo: str

    @classmethod
    def of(cls, address: str, sender: str, helo: str) -> "SpfClient":
        """Raises ValueError where the address is none. An IPv4 address in IPv6 clothes is IPv4."""
        ip = ip_address(address.partition("%")[0])
        mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
        return cls(mapped or ip, sender, helo)

    @property
    def mailbox(self) -> tuple[str, str]:
        """(local part, domain) that is checked: without a sender, postmaster of HELO (§2.4)."""
        local, _, domain = (self.sender or f"postmaster@{self.helo}").rpartition("@")
        return local or "postmaster", domain


async def check_host(dns: Dns, client: SpfClient) -> tuple[SpfResult, str]:
    """The result, and the domain it is about."""
    domain = client.mailbox[1].rstrip(".").lower()
    try:
        return await _Check(dns, client).host(domain), domain
    except NoAnswerNow:
        return SpfResult.TEMPERROR, domain
    except BadRecord:
        return SpfResult.PERMERROR, domain


class _Check:
    """One evaluation, with what it has used of its limits."""

    def __init__(self, dns: Dns, client: SpfClient) -> None:
        self._dns = dns
        self._client = client
        self._lookups = 0
        self._void = 0
        self._validated: dict[str, str] = {}

    async def host(self, domain: str) -> SpfResult:
        """Raises NoAnswerNow or BadRecord."""
        if not _is_name(domain):
            return SpfResult.NONE
        answer = await self._dns.look_up(domain, RecordType.TXT)
        texts = [text for text in answer.values if is_spf(text)]
        if not texts:
            return SpfResult.NONE
        if len(texts) > 1:
            raise BadRecord("more than one record")
        return await self._evaluate(read_record(texts[0]), domain)

    async def _evaluate(self, record: SpfRecord, domain: str) -> SpfResult:
        for mechanism in record.mechanisms:
            if await self._matches(mechanism, domain):
                return _QUALIFIED[mechanism.qualifier]
        if record.redirect is None:
            return SpfResult.NEUTRAL
        self._count()
        result = await self.host(await self._expand(record.redirect, domain))
        if result is SpfResult.NONE:
            raise BadRecord("redirected to nothing")
        return result

    async def _matches(self, mechanism: Mechanism, domain: str) -> bool:
        if mechanism.name == "all":
            return True
        if mechanism.network is not None:
            network = mechanism.network
            return network.version == self._client.address.version and self._client.address in network
        self._count()
        target = domain if mechanism.target is None else await self._expand(mechanism.target, domain)
        match mechanism.name:
            case "include":
                return await self._included(target)
            case "exists":
                return bool((await self._look_up(target, RecordType.A)).values)
            case "ptr":
                return await self._validated_name(target, only_within=True) is not None
            case "a":
                return await self._is_at(target, mechanism.prefixes)
            case _:
                return await self._is_mx_of(target, mechanism.prefixes)

    async def _included(self, target: str) -> bool:
        result = await self.host(target)
        if result is SpfResult.NONE:
            raise BadRecord("includes nothing")
        return result is SpfResult.PASS

    async def _is_mx_of(self, target: str, prefixes: tuple[int, int]) -> bool:
        hosts = (await self._look_up(target, RecordType.MX)).values
        if len(hosts) > MAX_NAMES:
            raise BadRecord("too many mail servers")
        for host in hosts:
            if await self._is_at(host, prefixes, counts=False):
                return True
        return False

    async def _is_at(self, name: str, prefixes: tuple[int, int], *, counts: bool = True) -> bool:
        client = self._client.address
        kind = RecordType.A if client.version == 4 else RecordType.AAAA
        answer = await (self._look_up if counts else self._dns.look_up)(name, kind)
        length = prefixes[0] if client.version == 4 else prefixes[1]
        return any(client in ip_network(f"{address}/{length}", strict=False) for address in answer.values)

    async def _validated_name(self, domain: str, *, only_within: bool = False) -> str | None:
        """A name of the client that leads back to it: `domain`, one within it, or another (§5.5, §7.3)."""
        if domain not in self._validated:
            self._validated[domain] = await self._find_validated(domain)
        found = self._validated[domain]
        within = found == domain or found.endswith(f".{domain}")
        return found if found and (within or not only_within) else None

    async def _find_validated(self, domain: str) -> str:
        try:
            names = (await self._look_up(self._client.address.reverse_pointer, RecordType.PTR)).values
        except NoAnswerNow:
            return ""
        best = (0, "")
        for name in names[:MAX_NAMES]:
            rank = 3 if name == domain else 2 if name.endswith(f".{domain}") else 1
            try:
                if rank > best[0] and await self._is_at(name, (32, 128), counts=False):
                    best = (rank, name)
            except NoAnswerNow:
                continue
        return best[1]

    async def _look_up(self, name: str, kind: RecordType) -> Answer:
        """A look-up of a term: those without an answer are counted (§4.6.4)."""
        answer = await self._dns.look_up(name, kind)
        if not answer.values:
            self._void += 1
            if self._void > MAX_VOID_LOOKUPS:
                raise BadRecord("too many look-ups find nothing")
        return answer

    def _count(self) -> None:
        self._lookups += 1
        if self._lookups > MAX_LOOKUPS:
            raise BadRecord("too many look-ups")

    async def _expand(self, text: str, domain: str) -> str:
        """A domain with its macros replaced, cut to what is a name (§7.3)."""
        pieces = [
            piece if isinstance(piece, str) else await self._replaced(piece, domain)
            for piece in macros(text, explains=False)
        ]
        name = "".join(pieces).rstrip(".").lower()
        while len(name) > _MAX_NAME and "." in name:
            name = name.partition(".")[2]
        return name

    async def _replaced(self, macro: Macro, domain: str) -> str:
        if macro.letter in "%_-":
            return {"%": "%", "_": " ", "-": "%20"}[macro.letter]
        value = await self._value(macro.letter.lower(), domain)
        labels = re.split(f"[{re.escape(macro.delimiters)}]", value)
        if macro.reverse:
            labels.reverse()
        text = ".".join(labels[-macro.keep :])
        return quote(text, safe="-._~") if macro.letter.isupper() else text

    async def _value(self, letter: str, domain: str) -> str:
        local, sender_domain = self._client.mailbox
        address = self._client.address
        match letter:
            case "s":
                return f"{local}@{sender_domain}"
            case "l":
                return local
            case "o":
                return sender_domain
            case "d":
                return domain
            case "h":
                return self._client.helo
            case "v":
                return "in-addr" if address.version == 4 else "ip6"
            case "i":
                nibbles = address.exploded.replace(":", "")
                return str(address) if address.version == 4 else ".".join(nibbles)
            case _:
                return await self._validated_name(domain) or "unknown"


def _is_name(domain: str) -> bool:
    """Whether it may have a record: two labels or more, each of 1 to 63 characters."""
    labels = domain.split(".")
    return len(domain) <= _MAX_NAME and len(labels) > 1 and all(0 < len(label) <= 63 for label in labels)
