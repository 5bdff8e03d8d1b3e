"""Reads the TwiML verbs that the fake Twilio's calls understand.

Source: https://www.twilio.com/docs/voice/twiml. A verb that is not known here is kept by its name.
"""

from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

MAX_VERBS = 200
GATHER_PROMPTS: Final = ("Say", "Play", "Pause")


class TwimlError(Exception):
    """There is no document, or it is not TwiML; the text begins with Twilio's error code."""


@dataclass(frozen=True, slots=True)
class Say:
    """Speak a text."""

    text: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Play:
    """Play a recording, which is as long as they mostly are."""

    url: str
    seconds: float = 180.0


@dataclass(frozen=True, slots=True)
class Redirect:
    """Go on with another document."""

    url: str
    method: str


@dataclass(frozen=True, slots=True)
class Hangup:
    """End the call."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A verb the fake does not act on."""

    name: str


@dataclass(frozen=True, slots=True)
class Record:
    """Record the call from here, beside what follows."""

    callback: str


@dataclass(frozen=True, slots=True)
class Gather:
    """Collect speech or digits, or both."""

    prompts: "tuple[Verb, ...]"
    action: str
    method: str
    inputs: frozenset[str]
    """`speech`, `dtmf`."""
    num_digits: int | None
    finish_on_key: str
    action_on_empty: bool


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect the caller with someone else."""

    destinations: tuple[str, ...]
    action: str
    method: str
    whisper: str = ""
    """The document that whoever is reached hears first; "" for none."""


@dataclass(frozen=True, slots=True)
class Refer:
    """Have the caller's side call a SIP address."""

    destination: str
    action: str
    method: str


@dataclass(frozen=True, slots=True)
class Join:
    """Talk in a conference."""

    room: str
    action: str
    method: str
    starts: bool
    ends: bool
    callback: str
    events: frozenset[str]


@dataclass(frozen=True, slots=True)
class Connect:
    """Carry the call over ConversationRelay."""

    url: str
    action: str
    method: str
    greeting: str
    dtmf: bool


Verb = Say | Pause | Play | Redirect | Hangup | Gather | Dial | Refer | Join | Connect | Record | Unknown


def parse(text: str) -> tuple[Verb, ...]:
    """The verbs of a document, in order. Raises TwimlError."""
    try:
        # Only what the gateway itself answered comes here, at most 64 KiB, and expat bounds entity expansion.
        root = ElementTree.fromstring(text)  # noqa: S314
    except (ElementTree.ParseError, ValueError) as error:
        raise TwimlError(f"12100 Document parse failure: {error}") from error
    if root.tag != "Response":
        raise TwimlError("12100 Document parse failure: the root is not Response")
    if sum(1 for _ in root.iter()) > MAX_VERBS:
        raise TwimlError("12200 Schema validation warning: too many elements")
    try:
        return tuple(_verb(element) for element in root)
    except ValueError as error:
        raise TwimlError(f"12200 Schema validation warning: {error}") from error


def _verb(element: ElementTree.Element) -> Verb:
    text = _text(element)
    match element.tag:
        case "Say":
            return Say(text)
        case "Play" | "Pause" as name:
            return Play(text) if name == "Play" else Pause(float(element.get("length", "1")))
        case "Redirect":
            return Redirect(text, _method(element))
        case "Hangup":
            return Hangup()
        case "Gather":
            return _gather(element)
        case "Dial":
            return _dial(element)
        case "Start" if (recording := element.find("Recording")) is not None:
            return Record(recording.get("recordingStatusCallback", ""))
        case "Refer":
            return Refer(text, element.get("action", ""), _method(element))
        case "Connect" if element.find("ConversationRelay") is not None:
            return _connect(element)
        case name:
            return Unknown(str(name))


def _gather(element: ElementTree.Element) -> Gather:
    digits = element.get("numDigits")
    return Gather(
        prompts=tuple(_verb(child) for child in element if child.tag in GATHER_PROMPTS),
        action=element.get("action", ""),
        method=_method(element),
        inputs=frozenset(element.get("input", "dtmf").split()),
        num_digits=int(digits) if digits else None,
        finish_on_key=element.get("finishOnKey", "#"),
        action_on_empty=element.get("actionOnEmptyResult", "false").lower() == "true",
    )


def _dial(element: ElementTree.Element) -> Dial | Join:
    room = element.find("Conference")
    if room is not None:
        return _join(element, room)
    nested = [child for child in element if child.tag in ("Number", "Sip", "Client")]
    plain = (element.text or "").strip()
    return Dial(
        destinations=tuple(([plain] if plain else []) + [_text(child) for child in nested]),
        action=element.get("action", ""),
        method=_method(element),
        whisper=next((child.get("url", "") for child in nested), ""),
    )


def _join(element: ElementTree.Element, room: ElementTree.Element) -> Join:
    return Join(
        room=_text(room),
        action=element.get("action", ""),
        method=_method(element),
        starts=room.get("startConferenceOnEnter", "true").lower() == "true",
        ends=room.get("endConferenceOnExit", "false").lower() == "true",
        callback=room.get("statusCallback", ""),
        events=frozenset(room.get("statusCallbackEvent", "").split()),
    )


def _connect(element: ElementTree.Element) -> Connect:
    relay = element.find("ConversationRelay")
    attributes = {} if relay is None else relay.attrib
    return Connect(
        url=attributes.get("url", ""),
        action=element.get("action", ""),
        method=_method(element),
        greeting=attributes.get("welcomeGreeting", ""),
        dtmf=attributes.get("dtmfDetection", "false").lower() == "true",
    )


def _method(element: ElementTree.Element) -> str:
    return element.get("method", "POST").upper()


def _text(element: ElementTree.Element) -> str:
    return "".join(element.itertext()).strip()
