"""What a call is told to do next, before it is spelled for a host: a short list of verbs."""

from dataclasses import dataclass

from gateway.domain.intent import DtmfInputSpec


@dataclass(frozen=True, slots=True)
class Say:
    """Speak a text."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gather:
    """Listen for speech or digits and hand them to `action`; silence goes there too."""

    action: str
    prompts: tuple[Say, ...] = ()
    """Spoken while listening, so that the caller may interrupt."""
    digits: DtmfInputSpec | None = None
    """How digits are collected, where the agent asked for them; resolved."""
    timeout_seconds: int = 5
    """Of silence; `digits` overrides it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """Connect the caller with somebody else; what came of it goes to `action`."""

    destination: str
    """An E.164 number or a SIP URI."""
    action: str
    timeout_seconds: int


@dataclass(frozen=True, slots=True)
class Redirect:
    """Fetch the next verbs from here."""

    url: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Say nothing for so many seconds."""

    seconds: int


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """Carry the call over a WebSocket; what the session left goes to `action`."""

    url: str
    action: str
    greeting: str


Verb = Say | Gather | Dial | Redirect | Pause | HangUp | Connect
