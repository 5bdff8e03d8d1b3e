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
    keys_only: bool = False
    """What is said counts as silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """Connect the caller with somebody else; what came of it goes to `action`."""

    destination: str
    """An E.164 number or a SIP URI."""
    action: str
    timeout_seconds: int
    whisper: str | None = None
    """Asked for what the other side hears before the two are joined; None: nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refer:
    """Have the caller's own side call somebody else (SIP REFER); what came of it goes to `action`."""

    destination: str
    """A SIP URI."""
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Talk with whoever joins the same room; when that is over, go on with `action`."""

    room: str
    action: str
    events: str
    """Told when the two are in it."""
    begins: bool
    """Whether the talk begins with this one's coming, if the other is there; else they wait."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """Fetch the next verbs from here."""

    url: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Say nothing for so many seconds."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Play:
    """Play a recording to its end."""

    url: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """Carry the call over a WebSocket; what the session left goes to `action`."""

    url: str
    action: str
    greeting: str


@dataclass(frozen=True, slots=True)
class Record:
    """Record the call from here on, beside what follows; where the recording is goes to `callback`."""

    callback: str


Verb = Say | Gather | Dial | Refer | Join | Redirect | Pause | Play | HangUp | Connect | Record
