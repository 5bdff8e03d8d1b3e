"""The messages of a jambonz session, both ways.

Source: https://docs.jambonz.org/reference/websocket-api, and the callbacks of @jambonz/schema. Messages and
fields that are not known here are left out, as new ones appear with every version.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from channels.voice.jambonz.tag import Reference
from channels.voice.jambonz.verbs import Verb, array

SUBPROTOCOL = "ws.jambonz.org"
ACK_SECONDS = 5.0
"""jambonz waits so long for an acknowledgement, and then goes on without it."""
FINAL_STATUSES = frozenset({"completed", "failed", "busy", "no-answer"})
_ACKED = frozenset(
    {"session:new", "session:redirect", "session:reconnect", "session:adulting", "verb:hook", "dial:confirm"}
)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SID = r"^[A-Za-z0-9-]{1,64}$"


def _text(value: object) -> object:
    """JSON null is nothing said."""
    return "" if value is None else value


Text = Annotated[str, BeforeValidator(_text), Field(max_length=65_536)]
Name = Annotated[str, BeforeValidator(_text), Field(max_length=255)]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Opened(_Data):
    """Whose call this is."""

    call_sid: str = Field(pattern=_SID)
    direction: Name = "inbound"
    sender: str = Field(alias="from", max_length=255)
    recipient: str = Field(alias="to", max_length=255)
    trunk: Name = Field("", alias="originating_sip_trunk_name")
    """Of the carrier it came over; none where a device of the account calls."""
    reference: Reference = ""
    """The conversation of a call that we have begun."""
    again: bool = False
    """The connection was lost and is back."""


class Back(_Data):
    """The connection of a call that has not been answered yet was lost, and is back."""


class _Alternative(_Data):
    transcript: Text = ""


class _Speech(_Data):
    alternatives: tuple[_Alternative, ...] = ()
    language_code: str | None = Field(None, max_length=35)


class Gathered(_Data):
    """What the caller said or pressed."""

    reason: Name = ""
    digits: Name = ""
    speech: _Speech | None = None

    @property
    def transcript(self) -> str:
        """The likeliest reading of what was said."""
        best = self.speech.alternatives[:1] if self.speech else ()
        return best[0].transcript.strip() if best else ""

    @property
    def lang(self) -> str | None:
        """The language it was said in."""
        return self.speech.language_code if self.speech else None


class Dialed(_Data):
    """A dial has ended."""

    dial_call_status: Name = ""
    dial_sip_status: int | None = None


class Referred(_Data):
    """A REFER was answered, or its outcome came."""

    refer_status: int = 0
    final_referred_call_status: int | None = None


class Confirming(_Data):
    """Somebody who was dialled has answered."""


class Screened(_Data):
    """Whether a machine has answered."""

    type: Name = ""


class CallStatus(_Data):
    """A call has got on; also one that was dialled."""

    call_sid: str = Field(pattern=_SID)
    call_status: Name = ""
    direction: Name = ""
    sender: Name = Field("", alias="from")
    recipient: Name = Field("", alias="to")
    parent_call_sid: Name = ""
    reference: Reference = ""
    trunk: Name = Field("", alias="originating_sip_trunk_name")

    @property
    def over(self) -> bool:
        """Whether nothing follows."""
        return self.call_status in FINAL_STATUSES


class Streamed(_Data):
    """How the stream of words to the voice gets on."""

    event_type: Name
    text: Text = ""
    bargein: bool = False


class Taken(_Data):
    """Whether words were taken."""

    id: int
    status: Name = ""
    reason: Name = ""


class VerbStatus(_Data):
    """A verb has got on."""

    event: Name = ""
    id: Name = ""


class Problem(_Data):
    """jambonz could not do something."""

    msg: Text = ""
    details: Text = ""


Event = (
    Opened
    | Back
    | Gathered
    | Dialed
    | Referred
    | Confirming
    | Screened
    | CallStatus
    | Streamed
    | Taken
    | VerbStatus
    | Problem
)
INPUT_HOOK, DIGITS_HOOK = "/input", "/digits"
DIALED_HOOK, REFERRED_HOOK, CONFIRM_HOOK, ANSWER_HOOK = "/dialed", "/referred", "/confirm", "/answer"
SCREENED_HOOK, MACHINE_HOOK, MESSAGE_HOOK, BACK_HOOK = "/screened", "/machine", "/message", "/back"
"""What our hooks are called; a place in the call may follow."""
_BY_HOOK: dict[str, type[Event]] = {
    INPUT_HOOK: Gathered,
    DIGITS_HOOK: Gathered,
    ANSWER_HOOK: Gathered,
    DIALED_HOOK: Dialed,
    REFERRED_HOOK: Referred,
    CONFIRM_HOOK: Confirming,
    SCREENED_HOOK: Screened,
    MACHINE_HOOK: Screened,
}
_BY_TYPE: dict[str, type[Event]] = {
    "session:new": Opened,
    "session:redirect": Opened,
    "session:reconnect": Opened,
    "call:status": CallStatus,
    "tts:streaming-event": Streamed,
    "tts:tokens-result": Taken,
    "verb:status": VerbStatus,
    "jambonz:error": Problem,
}


@dataclass(frozen=True, slots=True)
class Place:
    """What a hook of ours is about."""

    hook: str
    session: str = ""
    n: int = 0
    attempt: int = 0
    step: int = 0

    @property
    def url(self) -> str:
        """As a verb names it."""
        return (
            f"{self.hook}/{self.session}/{self.n}/{self.attempt}/{self.step}" if self.session else self.hook
        )

    @classmethod
    def parse(cls, url: str) -> "Place | None":
        """None where it is none of ours."""
        match = _HOOK.fullmatch(url)
        if match is None:
            return None
        hook, session, *numbers = match.groups(default="")
        return cls(hook, session, *(int(number or 0) for number in numbers))


_HOOK = re.compile(r"(/[a-z]{1,16})(?:/([A-Za-z0-9]{1,64})/([0-9]{1,5})/([0-9]{1,3})/([0-9]))?")


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message of jambonz's."""

    msgid: str
    expects_ack: bool
    """Whether jambonz waits for an acknowledgement."""
    event: Event | None = None
    """None where it is none that we know."""
    place: Place | None = None


def read_message(text: str) -> Incoming | None:
    """A message; None where it is none at all."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
        return None
    kind, msgid = raw["type"], raw.get("msgid")
    if not isinstance(msgid, str) or not _ID.fullmatch(msgid):
        return None
    hook = raw.get("hook")
    place = Place.parse(hook) if isinstance(hook, str) else None
    model = _BY_TYPE.get(kind) or (_BY_HOOK.get(place.hook) if place else None)
    return Incoming(msgid, kind in _ACKED, _event(model, raw, again=kind == "session:reconnect"), place)


def _event(model: type[Event] | None, raw: dict[str, Any], *, again: bool) -> Event | None:
    data = raw.get("data")
    if model is None or not isinstance(data, dict):
        return None
    try:
        if model is Opened and again and not data:
            return Back()
        if model is Opened:
            return Opened.model_validate({"call_sid": raw.get("call_sid"), **data, "again": again})
        return model.model_validate(data)
    except ValidationError:
        return None


def ack(msgid: str, verbs: Sequence[Verb] = ()) -> dict[str, Any]:
    """A message was received; what is to be done now."""
    return {"type": "ack", "msgid": msgid, "data": array(verbs)}


def command(name: str, data: object = None, *, queue: bool = False) -> dict[str, Any]:
    """Something to be done at once, or after what is being done."""
    message: dict[str, Any] = {"type": "command", "command": name, "queueCommand": queue}
    return message if data is None else message | {"data": data}


def redirect(verbs: Sequence[Verb], *, queue: bool = False) -> dict[str, Any]:
    """Do this instead of what is being done, or after it."""
    return command("redirect", array(verbs), queue=queue)
