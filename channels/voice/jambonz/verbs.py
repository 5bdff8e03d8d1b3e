"""The verbs of jambonz that are used here, as its arrays have them.

Source: https://docs.jambonz.org/verbs, and the npm packages @jambonz/schema and @jambonz/verb-specifications,
which the tests have check every array. Names are ours, spelled for jambonz on the way out.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

MAX_SAID = 4_000
"""Characters of one text; jambonz reads no message of more than 24 KB."""
_UNSPEAKABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_SCHEME = re.compile(r"^(\s*[A-Za-z][A-Za-z0-9+._-]*):")
_MARKUP = re.compile(r"^\s*(?=<)")

Input = Literal["speech", "digits"]
BOTH: tuple[Input, ...] = ("digits", "speech")


def speakable(text: str) -> str:
    """The text without what nobody can speak."""
    return _UNSPEAKABLE.sub(" ", text)


def said(text: str) -> str:
    """A text for `say`, which takes what begins like a URL for a recording, and like a tag for SSML; cut."""
    return _MARKUP.sub(" ", _SCHEME.sub(r"\1 :", speakable(text)), count=1)[:MAX_SAID]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid")


class BargeIn(_Part):
    """Listening in the background, while verbs run and words are streamed."""

    enable: bool
    sticky: bool | None = None
    """Listen again after each input."""
    action_hook: str | None = None
    input: tuple[Input, ...] | None = None
    finish_on_key: str | None = None
    min_digits: int | None = None
    max_digits: int | None = None
    inter_digit_timeout: float | None = None
    dtmf_bargein: bool | None = None
    min_bargein_word_count: int | None = None


class TtsStream(_Part):
    """A connection to the voice, kept open for words as they come."""

    enable: bool


class Config(_Part):
    """What holds from here on."""

    verb: Literal["config"] = "config"
    barge_in: BargeIn | None = None
    tts_stream: TtsStream | None = None
    notify_events: bool | None = None
    track_tts_playout: bool | None = None
    """Report what was spoken; only some voices can."""


class Prompt(_Part):
    """What a gather says while it listens."""

    text: str


class Say(_Part):
    """Speak a text."""

    verb: Literal["say"] = "say"
    text: str
    id: str | None = None


class Gather(_Part):
    """Listen for speech or digits. Without `min_digits` the time between digits never runs out."""

    verb: Literal["gather"] = "gather"
    action_hook: str
    input: tuple[Input, ...] = BOTH
    min_digits: int = 1
    max_digits: int
    finish_on_key: str | None = None
    inter_digit_timeout: float | None = None
    timeout: float = 0
    """Seconds; 0 waits for ever."""
    bargein: bool | None = None
    dtmf_bargein: bool = True
    say: Prompt | None = None


class PhoneTarget(_Part):
    """A number in E.164."""

    type: Literal["phone"] = "phone"
    number: str


class SipTarget(_Part):
    """A SIP URI."""

    type: Literal["sip"] = "sip"
    sip_uri: str


class Amd(_Part):
    """Tell a person from a machine, and report it."""

    action_hook: str


class Dial(_Part):
    """Call somebody and join the two. `confirm_hook` gives the verbs that the callee hears first."""

    verb: Literal["dial"] = "dial"
    target: tuple[PhoneTarget | SipTarget, ...]
    action_hook: str
    timeout: int
    confirm_hook: str | None = None
    dial_music: str | None = None
    """What the caller hears until somebody answers, instead of ringing."""
    headers: dict[str, str] | None = None
    amd: Amd | None = None


class SipRefer(_Part):
    """Have the caller's side call somebody else (RFC 3515)."""

    verb: Literal["sip:refer"] = "sip:refer"
    refer_to: str
    action_hook: str
    headers: dict[str, str] | None = None


class Redirect(_Part):
    """Ask the hook for the next verbs."""

    verb: Literal["redirect"] = "redirect"
    action_hook: str


class Tag(_Part):
    """Noted with the call at jambonz."""

    verb: Literal["tag"] = "tag"
    data: dict[str, str]


class Hangup(_Part):
    """End the call."""

    verb: Literal["hangup"] = "hangup"


class SipDecline(_Part):
    """Do not answer the call."""

    verb: Literal["sip:decline"] = "sip:decline"
    status: int


Verb = Annotated[
    Config | Say | Gather | Dial | SipRefer | Redirect | Tag | Hangup | SipDecline,
    Field(discriminator="verb"),
]


def array(verbs: Sequence[Verb]) -> list[dict[str, Any]]:
    """The verbs as jambonz reads them."""
    return [verb.model_dump(mode="json", by_alias=True, exclude_none=True) for verb in verbs]
