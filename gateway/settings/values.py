"""Kinds of values that settings and gateway.toml share: durations, times of day, URLs, hosts and ports."""

import re
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator, Field

from gateway.domain.quiet import QuietHours

_DURATION = re.compile(r"([0-9]{1,9})\s*([smhd]?)", re.ASCII)
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST_SECONDS = 3650 * 86_400
_QUIET = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\s*-\s*([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_HOST = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
)
_PLAIN = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,2048}")
_ORIGIN_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:[0-9]+)?")
_WEB = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class HostPort:
    """A server's name or IP address (IPv6 without brackets) and its port."""

    host: str
    port: int


def parse_duration(value: object) -> timedelta:
    """A duration from "72h", "30d", "15m", "90s" or a number of seconds; more than 0, at most 3650 days."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        seconds = int(match[1]) * _UNIT_SECONDS[match[2]]
    elif isinstance(value, int) and not isinstance(value, bool):
        seconds = value
    else:
        raise ValueError('must be a duration like "72h", "30d", "90s" or a number of seconds')
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise ValueError("must be a duration of more than 0 s and at most 3650 days")
    return timedelta(seconds=seconds)


def parse_quiet_hours(value: object) -> QuietHours:
    """Quiet hours from "21:00-08:00"."""
    match = _QUIET.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or match[1] + match[2] == match[3] + match[4]:
        raise ValueError('must be two different times of the day like "21:00-08:00"')
    return QuietHours(time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4])))


def parse_domain(value: object) -> str:
    """A mail domain in lower case; an internationalised one in its ASCII form (RFC 5890)."""
    text = value.strip().rstrip(".").lower() if isinstance(value, str) else ""
    try:
        domain = text.encode("idna").decode() if len(text) <= 253 else ""
    except UnicodeError:
        domain = ""
    if not _HOST.fullmatch(domain):
        raise ValueError("must be a domain name like example.org")
    return domain


def parse_host(value: object) -> str:
    """A host name or IP address to listen on."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_.:-]{1,253}", value.strip()):
        raise ValueError("must be a host name or an IP address")
    return value.strip()


def parse_host_port(value: object) -> HostPort:
    """`host:port`, `[ipv6]:port`."""
    split = _split(f"//{value}") if isinstance(value, str) else None
    if split is None or not split.hostname or not split.port or split.netloc != value or "@" in split.netloc:
        raise ValueError("must be host:port")
    return HostPort(split.hostname, split.port)


def parse_web_url(value: object) -> str:
    """An http or https URL without user name, query or fragment, and without a closing slash."""
    split = _split(value)
    if split is None or split.scheme not in _WEB or not split.hostname:
        raise ValueError("must be a URL like https://example.org")
    if "@" in split.netloc or split.query or split.fragment:
        raise ValueError("must be a URL without user name, query and fragment")
    return split.geturl().rstrip("/")


def parse_origin(value: object) -> str:
    """An origin as browsers write it: `https://shop.example`, with a port unless it is the scheme's own."""
    split = _split(value)
    if (
        split is None
        or split.scheme not in _WEB
        or not split.hostname
        or value != f"{split.scheme}://{split.netloc}".lower()
        or not _ORIGIN_HOST.fullmatch(split.netloc)
        or split.port == {"http": 80, "https": 443}[split.scheme]
    ):
        raise ValueError("must be an origin like https://shop.example, without a path or wildcard")
    return str(value)


def parse_server_url(value: object, schemes: tuple[str, ...]) -> str:
    """A URL that may hold credentials, of one of the schemes and with a host."""
    split = _split(value)
    if split is None or split.scheme not in schemes or not split.hostname:
        raise ValueError(
            f"must be a URL with a host, beginning with {' or '.join(f'{s}://' for s in schemes)}"
        )
    return split.geturl()


def masked_url(url: str) -> str:
    """A URL for people to read: its password, and any in its query, as ***."""
    without_password = re.sub(r"(?<=://)([^/@:]*):.*@", r"\1:***@", url)
    return re.sub(
        r"([?&][^=&]*(?:pass|secret|token|key)[^=&]*=)[^&#]*", r"\1***", without_password, flags=re.I
    )


def _split(value: object) -> SplitResult | None:
    """The parts of a URL without blanks and control characters, whose port is a number, or None."""
    if not isinstance(value, str) or not _PLAIN.fullmatch(value.strip()):
        return None
    try:
        split = urlsplit(value.strip())
        _ = split.port, split.hostname
    except ValueError:
        return None
    return split


def _not_a_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Quiet = Annotated[QuietHours, BeforeValidator(parse_quiet_hours)]
Origin = Annotated[str, BeforeValidator(parse_origin)]
WebUrl = Annotated[str, BeforeValidator(parse_web_url)]
Domain = Annotated[str, BeforeValidator(parse_domain)]
Host = Annotated[str, BeforeValidator(parse_host)]
HostAndPort = Annotated[HostPort, BeforeValidator(parse_host_port)]
Number = BeforeValidator(_not_a_bool)
"""Marks a number: TOML's true is not 1."""
Price = Annotated[float, Number, Field(ge=0, le=1_000_000)]
"""In the currency of `organisation.spend_per_day`."""
Port = Annotated[int, Number, Field(ge=0, le=65_535)]
Text = Annotated[str, Field(min_length=1, max_length=100_000)]
