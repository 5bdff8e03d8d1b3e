"""Whether TwiML is TwiML: elements and attributes as the official library declares them, values by a table.

The library itself accepts any attribute and any value, so what its methods are declared with is read, and the
ranges are those of https://www.twilio.com/docs/voice/twiml.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from twilio.twiml import voice_response

MAX_BYTES = 64 * 1024
MAX_SAY = 4_096
MAX_GREETING = 10_000


def _between(low: int, high: int) -> Callable[[str], bool]:
    return lambda text: text.isdecimal() and low <= int(text) <= high


def _like(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.fullmatch(pattern, text) is not None


_URL = _like(r"(https?|wss)://[^\s<>]{1,3900}")
_INTERRUPTIBLE = _like("none|dtmf|speech|any|true|false")
_LANGUAGE = _like(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
_VALUES: Mapping[tuple[str, str], Callable[[str], bool]] = {
    ("Gather", "input"): _like(r"(dtmf|speech)( (dtmf|speech))?"),
    ("Gather", "timeout"): _between(1, 600),
    ("Gather", "speechTimeout"): _like(r"auto|[1-9][0-9]*"),
    ("Gather", "numDigits"): _between(1, 64),
    ("Gather", "finishOnKey"): _like(r"[0-9#*]?"),
    ("Gather", "actionOnEmptyResult"): _like("true|false"),
    ("Gather", "language"): _LANGUAGE,
    ("Say", "language"): _LANGUAGE,
    ("Say", "voice"): _like(r"(Polly|Google|ElevenLabs)\.[A-Za-z0-9_.-]{1,150}"),
    ("Dial", "timeout"): _between(5, 600),
    ("Dial", "answerOnBridge"): _like("true|false"),
    ("Pause", "length"): _between(1, 600),
    ("Number", "url"): _URL,
    ("Sip", "url"): _URL,
    ("Conference", "beep"): _like("true|false|onEnter|onExit"),
    ("Conference", "waitUrl"): lambda text: text == "" or _URL(text),
    ("Conference", "startConferenceOnEnter"): _like("true|false"),
    ("Conference", "endConferenceOnExit"): _like("true|false"),
    ("Conference", "statusCallback"): _URL,
    ("Conference", "statusCallbackMethod"): _like("GET|POST"),
    ("ConversationRelay", "url"): _URL,
    ("ConversationRelay", "language"): _LANGUAGE,
    ("ConversationRelay", "ttsProvider"): _like("Amazon|Google|ElevenLabs"),
    ("ConversationRelay", "voice"): _like(r"[A-Za-z0-9_.-]{1,150}"),
    ("ConversationRelay", "welcomeGreeting"): lambda text: 0 < len(text) <= MAX_GREETING,
    ("ConversationRelay", "welcomeGreetingInterruptible"): _INTERRUPTIBLE,
    ("ConversationRelay", "interruptible"): _INTERRUPTIBLE,
    ("ConversationRelay", "dtmfDetection"): _like("true|false"),
    ("Conference", "statusCallbackEvent"): _like(r"(start|end|join|leave)( (start|end|join|leave))*"),
}
_EVERYWHERE: Mapping[str, Callable[[str], bool]] = {"action": _URL, "method": _like("GET|POST")}
_TEXTS: Mapping[str, Callable[[str], bool]] = {
    "Number": _like(r"\+[1-9][0-9]{6,14}"),
    "Sip": _like(r"sips?:[^\s@<>\"]+@[^\s@<>\"]+"),
    "Redirect": _URL,
    "Play": _URL,
    "Conference": _like(r"[A-Za-z0-9-]{1,128}"),
    "Say": lambda text: 0 < len(text) <= MAX_SAY,
}


@dataclass(slots=True)
class _Element:
    children: dict[str, set[str]] = field(default_factory=dict)
    """The attributes that each element within may have."""


def _camel(name: str) -> str:
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(word.title() for word in rest)


def _tag(name: str) -> str:
    """What a class of the library writes: `Sip` for its ReferSip."""
    cls = getattr(voice_response, name, None)
    named = None if cls is None else re.search(r'self\.name = "(\w+)"', inspect.getsource(cls))
    return name if named is None else named[1]


def _declared() -> dict[str, _Element]:
    """By the class names of the library, which are the elements' for those that we use."""
    elements: dict[str, _Element] = {}
    for name, cls in inspect.getmembers(voice_response, inspect.isclass):
        element = elements[name] = _Element()
        for _, method in inspect.getmembers(cls, inspect.isfunction):
            nested = re.search(r"self\.nest\(\s*(\w+)\(", inspect.getsource(method))
            if nested is not None and method.__qualname__.startswith(name):
                attributes = {_camel(parameter) for parameter in inspect.signature(method).parameters}
                element.children[_tag(nested[1])] = attributes
    elements["Response"] = elements["VoiceResponse"]
    return elements


_ELEMENTS = _declared()


def faults(document: str) -> list[str]:
    """What is wrong with a document; nothing for one that Twilio takes."""
    if len(document.encode()) > MAX_BYTES:
        return ["it is too large"]
    root = ElementTree.fromstring(document)
    return _within(root) if root.tag == "Response" else [f"its root is {root.tag}"]


def _within(parent: Any) -> list[str]:
    found: list[str] = []
    allowed = _ELEMENTS[parent.tag].children
    for child in parent:
        if child.tag not in allowed:
            found.append(f"{parent.tag} holds no {child.tag}")
            continue
        for name, value in child.attrib.items():
            check = _VALUES.get((child.tag, name)) or _EVERYWHERE.get(name)
            if name not in allowed[child.tag]:
                found.append(f"{child.tag} has no {name}")
            elif check is None or not check(value):
                found.append(f"{child.tag} {name}: {value!r} is not in the table")
        text = _TEXTS.get(child.tag)
        if text is not None and not text(child.text or ""):
            found.append(f"{child.tag} says {len(child.text or '')} characters that are not in the table")
        found += _within(child)
    return found
