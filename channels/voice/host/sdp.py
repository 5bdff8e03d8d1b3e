"""Session descriptions (RFC 8866) as far as a host that relays no media reads and writes them."""

import re
from dataclasses import dataclass
from ipaddress import ip_address

MAX_SDP = 16_384
_MEDIA = re.compile(r"m=audio ([0-9]{1,5})(?:/[0-9]+)? (RTP/[A-Z]+) ([0-9 ]{1,200})")
_EVENTS = re.compile(r"a=rtpmap:([0-9]{1,3}) telephone-event/([0-9]{1,6})", re.IGNORECASE)
_CONNECTION = re.compile(r"c=IN IP[46] ([0-9A-Fa-f:.]{2,45})(?:/[0-9/]+)?")
TELEPHONE_EVENT = 101
"""The payload type we offer for it."""


@dataclass(frozen=True, slots=True)
class Session:
    """One audio stream."""

    host: str
    port: int
    payloads: tuple[str, ...]
    events: int | None
    """The payload type of telephone events (RFC 4733 §2.4.1); None where the peer sends none."""


def read_session(body: bytes) -> Session:
    """The audio of a description; ValueError where there is none that can be used."""
    if len(body) > MAX_SDP:
        raise ValueError("the session description is too large")
    lines = body.decode("utf-8", "replace").splitlines()
    media = next((match for line in lines if (match := _MEDIA.fullmatch(line))), None)
    connections = [match[1] for line in lines if (match := _CONNECTION.fullmatch(line))]
    if media is None or not connections:
        raise ValueError("the session description has no audio")
    events = next((int(match[1]) for line in lines if (match := _EVENTS.match(line))), None)
    port = int(media[1])
    if port > 65_535:
        raise ValueError("the session description has no valid port")
    ip_address(connections[-1])  # ValueError
    return Session(connections[-1], port, tuple(media[3].split()), events)


def own_session(host: str, port: int, events: int | None = TELEPHONE_EVENT) -> bytes:
    """A description of ours: μ-law, which nobody listens to, and telephone events, which are."""
    payloads = "0" if events is None else f"0 {events}"
    lines = [
        "v=0",
        f"o=- {port} 1 IN IP4 {host}",
        "s=-",
        f"c=IN IP4 {host}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {payloads}",
        "a=rtpmap:0 PCMU/8000",
    ]
    if events is not None:
        lines += [f"a=rtpmap:{events} telephone-event/8000", f"a=fmtp:{events} 0-15"]
    return "".join(f"{line}\r\n" for line in lines).encode()
