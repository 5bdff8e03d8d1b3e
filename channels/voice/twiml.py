"""Verbs as TwiML, through the official builder; whatever the text, the document stays valid and small.

Source: https://www.twilio.com/docs/voice/twiml. Limits of Twilio that are kept here: 4 096 characters in one
`<Say>`, 64 KB in a document, whole seconds in time-outs, `0-9#*` as a finish key.
"""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from twilio.twiml import voice_response

from channels.voice.destination import Destination, destination_kind
from channels.voice.downgrade import Downgrade
from channels.voice.verbs import (
    Connect,
    Dial,
    Gather,
    HangUp,
    Join,
    Pause,
    Play,
    Record,
    Redirect,
    Refer,
    Say,
    Verb,
)
from gateway.domain.call_rules import UNSET_SPEECH, Speech
from gateway.domain.intent import DtmfInputSpec

_twiml: Any = voice_response
"""The builder has no annotations."""

_TTS_PROVIDERS = {"Polly": "Amazon"}
"""What ConversationRelay calls a provider that has another name in `<Say>`."""
SAY_CHARACTERS = 4_000
SPOKEN_CHARACTERS = 10_000
"""All texts of one document: ten minutes of speech, and under 64 KB even if every character is escaped."""
DEFAULT_FINISH_KEY = "#"
_FINISH_KEYS = frozenset("0123456789#*")
_DIAL_SECONDS = (5, 600)
_UNSPEAKABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\x7f-\x9f]")
"""What XML 1.0 §2.2 does not allow, and control characters that it does."""


def document(verbs: Sequence[Verb], speech: Speech = UNSET_SPEECH) -> str:
    """The TwiML document. Text beyond SPOKEN_CHARACTERS is left out. ValueError for an undialable Dial."""
    response = _twiml.VoiceResponse()
    speaker = _Speaker(SPOKEN_CHARACTERS, speech)
    for verb in verbs:
        for element in _elements(verb, speaker):
            response.append(element)
    return str(response)


def gather_downgrades(spec: DtmfInputSpec) -> list[Downgrade]:
    """The fields of a spec that TwiML cannot render exactly; each is replaced by the nearest it can."""
    downgrades = []
    if (spec.inter_digit_timeout_ms or 0) % 1000:
        downgrades.append(Downgrade("inter_digit_timeout_ms", "whole seconds"))
    if spec.termination_digit and spec.termination_digit not in _FINISH_KEYS:
        downgrades.append(Downgrade("termination_digit", "none"))
    return downgrades


class _Speaker:
    """Who speaks in a document, and how many characters more."""

    def __init__(self, characters: int, speech: Speech) -> None:
        self._left = characters
        self.speech = speech

    def say(self, text: str) -> Iterator[Any]:
        """A text as elements."""
        spoken = {"language": self.speech.language, "voice": self.speech.voice}
        return (_twiml.Say(piece, **spoken) for piece in self.take(text))

    def take(self, text: str) -> Iterator[str]:
        """The text in pieces that fit one `<Say>` each, cut at white space where there is some."""
        text = _UNSPEAKABLE.sub(" ", text).strip()[: self._left].rstrip()
        self._left -= len(text)
        while text:
            cut = len(text)
            if cut > SAY_CHARACTERS:
                cut = max(text.rfind(" ", 1, SAY_CHARACTERS), text.rfind("\n", 1, SAY_CHARACTERS))
                cut = cut if cut > 0 else SAY_CHARACTERS
            yield text[:cut]
            text = text[cut:].lstrip()


def _elements(verb: Verb, speaker: _Speaker) -> Iterator[Any]:
    """Those that speak may be several, or none; they share what may be said."""
    match verb:
        case Say(text):
            yield from speaker.say(text)
        case Gather():
            yield _gather(verb, speaker)
        case Connect():
            yield _connect(verb, speaker)
        case _:
            yield _silent(verb)


def _silent(verb: Dial | Refer | Join | Redirect | Pause | Play | HangUp | Record) -> Any:
    """The element of a verb that says nothing."""
    match verb:
        case Dial():
            return _dial(verb)
        case Refer():
            return _refer(verb)
        case Join():
            return _join(verb)
        case Redirect(url):
            return _twiml.Redirect(url, method="POST")
        case Pause(seconds):
            return _twiml.Pause(length=seconds)
        case Play(url):
            return _twiml.Play(url)
        case HangUp():
            return _twiml.Hangup()
        case Record(callback):
            return _record(callback)


def _gather(verb: Gather, speaker: _Speaker) -> Any:
    spec = verb.digits or DtmfInputSpec()
    timeout = verb.timeout_seconds
    if spec.inter_digit_timeout_ms is not None:
        timeout = max(1, math.ceil(spec.inter_digit_timeout_ms / 1000))
    element = _twiml.Gather(
        input="dtmf" if verb.keys_only else "dtmf speech",
        action=verb.action,
        method="POST",
        timeout=timeout,
        speech_timeout=None if verb.keys_only else "auto",
        language=None if verb.keys_only else speaker.speech.language,
        num_digits=spec.max_digits,
        finish_on_key=_finish_key(spec.termination_digit),
        action_on_empty_result=True,
    )
    for prompt in verb.prompts:
        for spoken in speaker.say(prompt.text):
            element.append(spoken)
    return element


def _finish_key(termination_digit: str | None) -> str:
    if termination_digit is None:
        return DEFAULT_FINISH_KEY
    return termination_digit if termination_digit in _FINISH_KEYS else ""


def _dial(verb: Dial) -> Any:
    kind = destination_kind(verb.destination)
    if kind is None:
        raise ValueError("a call can be connected to a number in E.164 or a sip: URI")
    low, high = _DIAL_SECONDS
    element = _twiml.Dial(
        action=verb.action,
        method="POST",
        answer_on_bridge=True,
        timeout=max(low, min(high, verb.timeout_seconds)),
    )
    whisper = {} if verb.whisper is None else {"url": verb.whisper, "method": "POST"}
    if kind is Destination.SIP:
        element.sip(verb.destination, **whisper)
    else:
        element.number(verb.destination, **whisper)
    return element


def _refer(verb: Refer) -> Any:
    if destination_kind(verb.destination) is not Destination.SIP:
        raise ValueError("a call can be referred to a sip: URI only")
    element = _twiml.Refer(action=verb.action, method="POST")
    element.sip(verb.destination)
    return element


def _join(verb: Join) -> Any:
    """Either end is the end of it. Whoever is first creates the room, so that both name who is told."""
    element = _twiml.Dial(action=verb.action, method="POST")
    element.conference(
        verb.room,
        beep="false",
        wait_url="",
        start_conference_on_enter=verb.begins,
        end_conference_on_exit=True,
        status_callback=verb.events,
        status_callback_event="start",
        status_callback_method="POST",
    )
    return element


def _connect(verb: Connect, speaker: _Speaker) -> Any:
    """Keys are always reported: it cannot be switched on later."""
    provider, _, voice = (speaker.speech.voice or "").partition(".")
    element = _twiml.Connect(action=verb.action, method="POST")
    element.conversation_relay(
        url=verb.url,
        language=speaker.speech.language,
        tts_provider=_TTS_PROVIDERS.get(provider, provider) or None,
        voice=voice or None,
        welcome_greeting=" ".join(speaker.take(verb.greeting)) or None,
        welcome_greeting_interruptible="any",
        interruptible="any",
        dtmf_detection=True,
    )
    return element


def _record(callback: str) -> Any:
    element = _twiml.Start()
    element.recording(
        recording_status_callback=callback,
        recording_status_callback_method="POST",
        recording_status_callback_event="completed",
    )
    return element
