"""What gateway.toml may say about calls, for the channel `voice` or one number of it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from gateway.domain.call_rules import VOICE_PROVIDERS, CallRules, OnMachine
from gateway.settings.refusals import Table
from gateway.settings.values import Duration, Number, WebUrl

Said = Annotated[str, Field(min_length=1, max_length=1600)]
"""What the gateway itself says to an end user."""


_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
_VOICE = re.compile(rf"({'|'.join(VOICE_PROVIDERS)})\.[A-Za-z0-9_.-]{{1,150}}")
_LONGEST_RING_BACK = timedelta(hours=1)


def _ring_back(value: timedelta) -> timedelta:
    if value > _LONGEST_RING_BACK:
        raise ValueError("must be at most an hour")
    return value


def parse_language(value: object) -> str:
    """A language that calls can be held in."""
    if not isinstance(value, str) or not _LANGUAGE.fullmatch(value):
        raise ValueError("must be a language like de-DE (BCP 47)")
    return value


def parse_voice(value: object) -> str:
    """A voice that calls can be held with."""
    if not isinstance(value, str) or not _VOICE.fullmatch(value):
        raise ValueError(f"must be a voice like Polly.Vicki-Neural, of {', '.join(VOICE_PROVIDERS)}")
    return value


class CallTable(Table):
    """The keys that belong to calls only."""

    language: Annotated[str, BeforeValidator(parse_language)] | None = None
    voice: Annotated[str, BeforeValidator(parse_voice)] | None = None
    greeting_text: Said | None = None
    filler_text: Said | None = None
    filler_after_seconds: Annotated[float, Number, Field(ge=0.2, le=30)] | None = None
    reminder_text: Said | None = None
    reminder_after_seconds: Annotated[float, Number, Field(ge=2, le=300)] | None = None
    max_reminders: Annotated[int, Number, Field(ge=0, le=20)] | None = None
    goodbye_text: Said | None = None
    hold_text: Said | None = None
    reassurance_text: Said | None = None
    reassurance_every_seconds: Annotated[float, Number, Field(ge=5, le=600)] | None = None
    apology_text: Said | None = None
    welcome_back_text: Said | None = None
    machine_text: Said | None = None
    confirm_text: Said | None = None
    caller_left_text: Said | None = None
    not_joined_text: Said | None = None
    ring_seconds: Annotated[int, Number, Field(ge=5, le=600)] | None = None
    on_machine: OnMachine | None = None
    record_calls: bool | None = None
    close_after_call: bool | None = None
    ring_back: Annotated[Duration, AfterValidator(_ring_back)] | None = None
    hold_music: WebUrl | None = None


CALL_TEXTS = (
    "greeting_text",
    "filler_text",
    "reminder_text",
    "goodbye_text",
    "hold_text",
    "reassurance_text",
    "apology_text",
    "welcome_back_text",
    "machine_text",
    "confirm_text",
    "caller_left_text",
    "not_joined_text",
)
CALL_SPEECH = {"language": "language", "voice": "voice"}
"""What belongs to calls only, and what it is called in `Speech`."""
CALL_PACE = {
    "filler_after_seconds": "filler_after",
    "reminder_after_seconds": "reminder_after",
    "max_reminders": "max_reminders",
    "reassurance_every_seconds": "reassure_every",
}
"""The same in `CallPace`."""
CALL_RULES = {
    "ring_seconds": "ring_seconds",
    "on_machine": "on_machine",
    "record_calls": "record",
    "close_after_call": "closes",
    "ring_back": "ring_back_seconds",
    "hold_music": "hold_music",
}
"""The same in `CallRules`."""


def call_rules(before: CallRules, given: dict[str, Any]) -> CallRules:
    """The rules with what a table sets, which is taken out of `given`."""
    texts = {name.removesuffix("_text"): given.pop(name) for name in CALL_TEXTS if name in given}
    pace = _taken(given, CALL_PACE)
    speech = _taken(given, CALL_SPEECH)
    rules = _taken(given, CALL_RULES)
    if "ring_back_seconds" in rules:
        rules["ring_back_seconds"] = int(rules["ring_back_seconds"].total_seconds())
    return replace(
        before,
        texts=replace(before.texts, **texts),
        speech=replace(before.speech, **speech),
        pace=replace(before.pace, **pace),
        **rules,
    )


def _taken(given: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names[name]: given.pop(name) for name in names if name in given}
