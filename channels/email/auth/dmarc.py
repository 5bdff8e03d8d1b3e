"""DMARC: what the domain of From asks for, and which other domains count as it (RFC 7489)."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from publicsuffixlist import PublicSuffixList

from channels.email.auth.dns import Dns, RecordType
from channels.email.auth.signed import BadSignature, read_tags


class DmarcPolicy(StrEnum):
    """What a domain asks to be done with mail that is not aligned (§6.3)."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """What counts for one domain of From."""

    policy: DmarcPolicy
    strict_dkim: bool = False
    strict_spf: bool = False


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def organisational(domain: str) -> str:
    """The domain that a registry has given to somebody; a public suffix stays what it is.

    Under a top-level domain that the Public Suffix List does not know, every second level is somebody's own.
    """
    return _suffixes().privatesuffix(domain) or domain


def aligned(from_domain: str, proven: str, *, strict: bool) -> bool:
    """Whether what is proven for one domain counts for mail that says it is from another (§3.1)."""
    return from_domain == proven if strict else organisational(from_domain) == organisational(proven)


async def find_policy(dns: Dns, domain: str) -> DmarcRecord | None:
    """The record of a domain, or of its organisational domain (§6.6.3). Raises NoAnswerNow."""
    record = await _record_at(dns, domain)
    if record is not None:
        return _read(record, subdomain=False)
    parent = organisational(domain)
    record = await _record_at(dns, parent) if parent != domain else None
    return None if record is None else _read(record, subdomain=True)


async def _record_at(dns: Dns, domain: str) -> dict[str, str] | None:
    """Its tags; None where there is not exactly one record."""
    answer = await dns.look_up(f"_dmarc.{domain}", RecordType.TXT)
    found: list[dict[str, str]] = []
    for text in answer.values:
        try:
            tags = read_tags(text)
        except BadSignature:
            continue
        if next(iter(tags.items())) == ("v", "DMARC1"):
            found.append(tags)
    return found[0] if len(found) == 1 else None


def _read(tags: dict[str, str], *, subdomain: bool) -> DmarcRecord | None:
    """None where it says no policy and nobody to report to: then it is no record (§6.6.3)."""
    wanted = (tags.get("sp") if subdomain else None) or tags.get("p", "")
    try:
        policy = DmarcPolicy(wanted.lower())
    except ValueError:
        if "rua" not in tags:
            return None
        policy = DmarcPolicy.NONE
    if tags.get("pct") == "0":  # announced, and to be applied to nobody yet
        policy = DmarcPolicy.NONE
    return DmarcRecord(policy, tags.get("adkim", "").lower() == "s", tags.get("aspf", "").lower() == "s")
