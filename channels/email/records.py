"""What a mail domain has to publish so that mail reaches us and ours is believed; and whether it does."""

from dataclasses import dataclass

from channels.email.auth.dmarc import find_policy
from channels.email.auth.dns import Dns, RecordType
from channels.email.auth.keys import key_name
from channels.email.auth.signed import BadSignature, read_tags, squeezed
from channels.email.auth.spf_record import BadRecord, is_spf, read_record

_STRING = 255
"""Bytes of one string of a TXT record (RFC 1035 §3.3.14)."""


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """A record to publish."""

    purpose: str
    name: str
    kind: RecordType
    value: str

    @property
    def line(self) -> str:
        """As a zone file has it."""
        if self.kind is RecordType.TXT:
            pieces = [self.value[at : at + _STRING] for at in range(0, len(self.value), _STRING)]
            strings = " ".join(f'"{piece}"' for piece in pieces)
            return f"{self.name}. {self.kind} {strings}"
        return f"{self.name}. {self.kind} {self.value}."


def wanted_records(
    domain: str, host: str, *, relay: str | None = None, selector: str | None = None, key: str | None = None
) -> list[DnsRecord]:
    """What to publish. `host`: where mail comes in; `relay`: what sends ours; `key`: its TXT record."""
    senders = " ".join(["mx", *([f"a:{relay}"] if relay else [])])
    records = [
        DnsRecord("mail in", domain, RecordType.MX, f"10 {host}"),
        DnsRecord("SPF", domain, RecordType.TXT, f"v=spf1 {senders} ~all"),
    ]
    if selector and key:
        records.append(DnsRecord("DKIM", key_name(selector, domain), RecordType.TXT, key))
    records.append(DnsRecord("DMARC", f"_dmarc.{domain}", RecordType.TXT, "v=DMARC1; p=quarantine"))
    return records


async def mail_problem(dns: Dns, domain: str) -> str | None:
    """Why other servers do not find the way to us (RFC 5321 §5.1). Raises NoAnswerNow, as all of these."""
    hosts = (await dns.look_up(domain, RecordType.MX)).values
    if hosts == ("",):
        return f"{domain} says that it takes no mail (RFC 7505)"
    return None if hosts else f"{domain} has no MX record"


async def spf_problem(dns: Dns, domain: str) -> str | None:
    """Why SPF does not speak for our mail (RFC 7208)."""
    texts = [text for text in (await dns.look_up(domain, RecordType.TXT)).values if is_spf(text)]
    if len(texts) != 1:
        return f"{domain} has {len(texts) or 'no'} SPF records, and must have one"
    try:
        read_record(texts[0])
    except BadRecord as error:
        return f"the SPF record of {domain} is not valid: {error}"
    return None


async def dkim_problem(dns: Dns, domain: str, selector: str, key: str) -> str | None:
    """Why our signatures do not hold: the key that is published is not ours."""
    name = key_name(selector, domain)
    values = (await dns.look_up(name, RecordType.TXT)).values
    if not values:
        return f"{name} has no key"
    return None if any(_public(value) == _public(key) for value in values) else f"{name} has another key"


async def dmarc_problem(dns: Dns, domain: str) -> str | None:
    """Why receivers do not know what to do with mail that is forged in our name."""
    return None if await find_policy(dns, domain) is not None else f"_dmarc.{domain} has no policy"


def _public(record: str) -> str:
    try:
        return squeezed(read_tags(record).get("p", ""))
    except BadSignature:
        return ""
