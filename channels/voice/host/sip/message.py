"""SIP messages (RFC 3261 §7 and §25), read strictly and within bounds, written without surprises.

What a peer gets wrong is a MalformedMessage with one sentence that quotes nothing of it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

MAX_MESSAGE = 65_535
"""Bytes: what a datagram carries."""
MAX_HEADERS = 100
MAX_LINE = 8_192
MAX_CSEQ = 2**31 - 1
"""RFC 3261 §8.1.1.5."""
VERSION = "SIP/2.0"
MAGIC = "z9hG4bK"
"""How every branch of RFC 3261 begins (§8.1.1.7)."""

_COMPACT = {
    "i": "call-id",
    "m": "contact",
    "e": "content-encoding",
    "l": "content-length",
    "c": "content-type",
    "f": "from",
    "s": "subject",
    "k": "supported",
    "t": "to",
    "v": "via",
    "o": "event",
    "r": "refer-to",
    "b": "referred-by",
}
"""RFC 3261 §7.3.3; RFC 6665 §8.2.1; RFC 3515 §2.1; RFC 3892 §3."""

_TOKEN = r"[A-Za-z0-9.!%*_+`'~-]+"  # noqa: S105 - the grammar's word
_METHOD = re.compile(r"[A-Z]{1,32}")
_NAME = re.compile(_TOKEN)
_URI = re.compile(r"[!-~]{1,1024}")
_STATUS = re.compile(rf"{re.escape(VERSION)} ([1-6][0-9]{{2}}) ?([^\x00-\x08\x0a-\x1f\x7f]{{0,256}})")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_CSEQ = re.compile(r"([0-9]{1,10})[ \t]+([A-Z]{1,32})")
_VIA = re.compile(rf"SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*({_TOKEN})[ \t]+([^\s;,]{{1,256}})((?:[ \t]*;[^,]*)?)")
_LENGTH = re.compile(r"[0-9]{1,5}")


class MalformedMessage(ValueError):
    """A datagram that is no SIP message."""


@dataclass(frozen=True, slots=True)
class CSeq:
    """Number and method of a request (RFC 3261 §20.16)."""

    number: int
    method: str


@dataclass(frozen=True, slots=True)
class _Message:
    headers: tuple[tuple[str, str], ...]
    """Names in lower case and in full, in order."""
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        """The values of a header, in order."""
        return [value for key, value in self.headers if key == name]

    def get(self, name: str) -> str:
        """The first value of a header; "" where there is none."""
        return next((value for key, value in self.headers if key == name), "")

    @property
    def cseq(self) -> CSeq:
        """Checked when the message was read."""
        number, method = self.get("cseq").split(None, 1)
        return CSeq(int(number), method.strip())

    @property
    def call_id(self) -> str:
        """RFC 3261 §8.1.1.4."""
        return self.get("call-id")

    @property
    def branch(self) -> str:
        """Of the topmost Via: which transaction this belongs to (RFC 3261 §17)."""
        return parameter(self.get("via"), "branch")

    @property
    def sent_by(self) -> str:
        """Of the topmost Via."""
        match = _VIA.match(self.get("via"))
        return match[2].lower() if match else ""

    @property
    def from_tag(self) -> str:
        """ "" where there is none."""
        return parameter(self.get("from"), "tag")

    @property
    def to_tag(self) -> str:
        """ "" where there is none."""
        return parameter(self.get("to"), "tag")


@dataclass(frozen=True, slots=True)
class Request(_Message):
    """A request."""

    method: str = ""
    uri: str = ""

    def __bytes__(self) -> bytes:
        return _written(f"{self.method} {self.uri} {VERSION}", self)


@dataclass(frozen=True, slots=True)
class Response(_Message):
    """A response."""

    status: int = 0
    reason: str = ""

    def __bytes__(self) -> bytes:
        return _written(f"{VERSION} {self.status} {self.reason}", self)


def parse(datagram: bytes) -> Request | Response:
    """The message in a datagram; MalformedMessage where it is none."""
    if len(datagram) > MAX_MESSAGE:
        raise MalformedMessage("it is too large")
    head, separator, rest = datagram.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not separator:
        raise MalformedMessage("its headers do not end")
    try:
        first, *lines = head.decode("utf-8").split("\r\n")
    except UnicodeDecodeError:
        raise MalformedMessage("its headers are not UTF-8") from None
    headers = _headers(lines)
    body = _body(headers, rest)
    status = _STATUS.fullmatch(first)
    message: Request | Response
    if status is not None:
        message = Response(headers, body, int(status[1]), status[2])
    else:
        message = _request(first, headers, body)
    _check(message)
    return message


def _request(first: str, headers: tuple[tuple[str, str], ...], body: bytes) -> Request:
    method, _, rest = first.partition(" ")
    uri, _, version = rest.partition(" ")
    if version != VERSION or not _METHOD.fullmatch(method) or not _URI.fullmatch(uri):
        raise MalformedMessage("its first line is not SIP")
    return Request(headers, body, method, uri)


def _headers(lines: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """RFC 3261 §7.3.1: one a line, continued by lines that begin with white space."""
    headers: list[tuple[str, str]] = []
    for line in lines:
        if len(line) > MAX_LINE or _CONTROL.search(line):
            raise MalformedMessage("a header is too long or has control characters")
        if line[:1] in (" ", "\t"):
            if not headers:
                raise MalformedMessage("its first header continues nothing")
            name, value = headers.pop()
            if len(value) + len(line) > MAX_LINE:
                raise MalformedMessage("a header is too long")
            headers.append((name, f"{value} {line.strip()}"))
            continue
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t").lower()
        if not colon or not _NAME.fullmatch(name):
            raise MalformedMessage("a header has no name")
        if len(headers) == MAX_HEADERS:
            raise MalformedMessage("it has too many headers")
        headers.append((_COMPACT.get(name, name), value.strip()))
    return tuple(headers)


def _body(headers: tuple[tuple[str, str], ...], rest: bytes) -> bytes:
    """RFC 3261 §18.3: in a datagram, what is beyond Content-Length is not part of it."""
    lengths = {value for name, value in headers if name == "content-length"}
    if not lengths:
        return rest
    length = lengths.pop()
    if lengths or not _LENGTH.fullmatch(length) or int(length) > len(rest):
        raise MalformedMessage("its Content-Length is not that of its body")
    return rest[: int(length)]


def _check(message: Request | Response) -> None:
    """RFC 3261 §8.1.1: what every message has, once."""
    for name in ("from", "to", "call-id", "cseq"):
        if len(message.all(name)) != 1 or not message.get(name):
            raise MalformedMessage(f"it has not one {name.title()}")
    cseq = _CSEQ.fullmatch(message.get("cseq"))
    if cseq is None or int(cseq[1]) > MAX_CSEQ:
        raise MalformedMessage("its CSeq is not valid")
    if isinstance(message, Request) and cseq[2] != message.method:
        raise MalformedMessage("its CSeq is of another method")
    if not _VIA.match(message.get("via")):
        raise MalformedMessage("it has no valid Via")


def _written(first: str, message: _Message) -> bytes:
    lines = [first, *(f"{_title(name)}: {value}" for name, value in message.headers)]
    lines.append(f"Content-Length: {len(message.body)}")
    if any("\r" in line or "\n" in line or "\x00" in line for line in lines):
        raise ValueError("a header cannot have line ends")
    return "\r\n".join([*lines, "", ""]).encode() + message.body


def _title(name: str) -> str:
    return {"call-id": "Call-ID", "cseq": "CSeq"}.get(name, name.title())


def parameter(value: str, name: str) -> str:
    """A parameter of a header's value, behind its address; "" where it has none (RFC 3261 §7.3.1)."""
    _, _, rest = value.rpartition(">") if "<" in value else value.partition(";")
    match = re.search(rf"(?:^|;)\s*{re.escape(name)}\s*=\s*({_TOKEN})", rest, re.IGNORECASE)
    return match[1] if match else ""


def address(value: str) -> str:
    """The URI of a From, To, Contact or Route. Without angle brackets, parameters are not its own."""
    opened = value.find("<")
    if opened >= 0:
        closed = value.find(">", opened)
        return value[opened + 1 : closed].strip() if closed > 0 else ""
    return value.partition(";")[0].strip()


_HOST = re.compile(r"(?:([^@]*)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class SipUri:
    """The parts of a sip: URI that matter here (RFC 3261 §19.1)."""

    user: str
    host: str
    port: int


def sip_uri(text: str) -> SipUri:
    """The parts of a sip: URI; ValueError where it is none. Parameters and a password are left out."""
    scheme, colon, rest = text.partition(":")
    if scheme.lower() != "sip" or not colon:
        raise ValueError("it is no sip: URI")
    match = _HOST.fullmatch(re.split("[;?]", rest, maxsplit=1)[0])
    if match is None or int(match[3] or 5060) > 65_535:
        raise ValueError("it is no sip: URI")
    return SipUri((match[1] or "").partition(":")[0], match[2].strip("[]"), int(match[3] or 5060))


def answer(
    request: Request,
    status: int,
    reason: str,
    *,
    tag: str = "",
    more: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Response:
    """A response to a request (RFC 3261 §8.2.6)."""
    copied = [(name, value) for name, value in request.headers if name in ("via", "record-route")]
    to = request.get("to")
    if tag and not request.to_tag:
        to = f"{to};tag={tag}"
    headers = [
        *copied,
        ("from", request.get("from")),
        ("to", to),
        ("call-id", request.call_id),
        ("cseq", request.get("cseq")),
        *more,
    ]
    return Response(tuple(headers), body, status, reason)
