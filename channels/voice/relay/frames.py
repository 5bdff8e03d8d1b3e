"""The frames of a ConversationRelay session, both ways.

Source: https://www.twilio.com/docs/voice/conversationrelay/websocket-messages. Frames and fields that are not
known here are left out, as new ones appear without notice.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

_Sid = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,64}$")]


class _Frame(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Setup(_Frame):
    """The first frame: whose call this is."""

    type: Literal["setup"]
    session_id: _Sid = Field(alias="sessionId")
    call_sid: _Sid = Field(alias="callSid")
    account_sid: str = Field("", alias="accountSid", max_length=64)
    sender: str = Field(alias="from", max_length=255)
    recipient: str = Field(alias="to", max_length=255)
    direction: str = Field("inbound", max_length=32)


class Prompt(_Frame):
    """What the caller said; only the last of an utterance is whole."""

    type: Literal["prompt"]
    text: str = Field(alias="voicePrompt")
    lang: str | None = Field(None, max_length=35)
    last: bool = True


class Key(_Frame):
    """The caller pressed a key."""

    type: Literal["dtmf"]
    digit: str = Field(max_length=8)


class Interrupt(_Frame):
    """The caller spoke over what was being said."""

    type: Literal["interrupt"]
    spoken: str | None = Field(None, alias="utteranceUntilInterrupt")
    spoken_ms: float | None = Field(None, alias="durationUntilInterruptMs", ge=0, le=86_400_000)
    """Twilio writes it as a number or as text."""


class Fault(_Frame):
    """Something we sent was not taken, or the session is in trouble."""

    type: Literal["error"]
    description: str = ""


Frame = Annotated[Setup | Prompt | Key | Interrupt | Fault, Field(discriminator="type")]
_FRAME: TypeAdapter[Frame] = TypeAdapter(Frame)


def read_frame(text: str) -> Setup | Prompt | Key | Interrupt | Fault | None:
    """A frame of Twilio's; None where it is none that we know."""
    try:
        return _FRAME.validate_python(json.loads(text))
    except (ValidationError, ValueError, RecursionError):
        return None


def token(text: str, *, last: bool, lang: str | None = None, interruptible: bool = True) -> dict[str, Any]:
    """A piece of what is to be said; the last one of a text says so."""
    frame: dict[str, Any] = {"type": "text", "token": text, "last": last}
    if lang is not None:
        frame["lang"] = lang
    if not interruptible:
        frame["interruptible"] = False
    return frame


def line(text: str, *, lang: str | None = None, preemptible: bool = False) -> dict[str, Any]:
    """A whole text; `preemptible`: what is sent next is said instead."""
    frame = token(text, last=True, lang=lang)
    if preemptible:
        frame["preemptible"] = True
    return frame


def play(url: str) -> dict[str, Any]:
    """A recording until something is said; a loop of 0 is a thousand times. The caller does not stop it."""
    return {"type": "play", "source": url, "loop": 0, "preemptible": True, "interruptible": False}


def end(handoff: dict[str, Any] | None = None) -> dict[str, Any]:
    """The session is over; what it leaves to the action of its `<Connect>`."""
    frame: dict[str, Any] = {"type": "end"}
    if handoff is not None:
        frame["handoffData"] = json.dumps(handoff, separators=(",", ":"))
    return frame
