"""A warm transfer of a call whose host asks what to do next, as TwiML does: what its answers are made from.

Pure. The machine's commands become what is kept: lines that the caller and the person have yet to hear, and
work to be done once the state is stored. A person is called at most once an attempt, by whoever has taken the
work; all the rest may be done again and does no harm.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from pydantic import TypeAdapter

from gateway.domain.intent import CallTransferIntent, OnFailure
from gateway.domain.message import Channel, InboundMessage, JsonObject, Role, SenderAuth
from gateway.domain.outcome import TransferState, transfer_sentence
from gateway.domain.warm.machine import advance, begin
from gateway.domain.warm.state import Stage, Step, Warm, WarmPlan
from gateway.domain.warm.words import (
    ENGLISH,
    CallerGone,
    Dial,
    Event,
    Finish,
    HangUpLeg,
    Leg,
    PersonTexts,
    SayToCaller,
    SayToLeg,
    Tick,
)

MAX_TOLD = 200
"""Lines to the caller that are kept: more than the longest hold has."""


@dataclass(frozen=True, slots=True)
class CallerWaits:
    """The caller does not ask again by themselves: they listen to music, or join whoever has accepted."""


@dataclass(frozen=True, slots=True)
class CallerAsks:
    """The caller asks, called back or not: what there is reaches them with the answer."""


HeldEvent = Event | CallerAsks | CallerWaits
"""What may happen to a call on hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferOfCall:
    """Which transfer of which call."""

    id: str
    """The intent's."""
    provider: str
    call_id: str
    conversation_id: str
    sender: str
    recipient: str
    """The caller, and our number, as the call's messages have them."""
    proven: bool
    n: int
    session: str
    """The number of the input that led here, and of which of the call's sessions it is; "" for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTransfer(TransferOfCall):
    """A transfer that is to begin."""

    intent: CallTransferIntent
    """Resolved."""
    briefing: str
    persons: PersonTexts = ENGLISH


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCall(TransferOfCall):
    """A transfer as it stands."""

    destination: str
    """Where the caller goes if nobody took the call and they are to be passed on all the same."""
    warm: Warm
    told: tuple[str, ...] = ()
    """What the caller is told, in order."""
    noted: int = 0
    """How many of these lines the transcript has."""
    reported: bool = False
    """Whether the transcript has the outcome."""
    line: SayToLeg | None = None
    """What the person is told now."""
    lines: int = 0
    """How many lines persons have been told; counts with each new one."""
    legs: Mapping[int, str] = field(default_factory=dict)
    """The provider's ids of the calls to persons, by attempt."""
    gone: tuple[int, ...] = ()
    """Attempts whose leg is no more."""
    dials: tuple[Dial, ...] = ()
    """To be carried out; taken by one process, and never again."""
    hang_ups: tuple[HangUpLeg, ...] = ()
    waits: bool = False
    """Whether the caller asks no more, and has to be called back once there is something new for them."""
    recall: int | None = None
    """They are to be called back, and told what follows this many lines; None: they are not."""
    recalling: int | None = None
    """The same, handed out and not known to be done."""
    again_at: int | None = None
    """When what is handed out, and not known to be done, is handed out again, in microseconds."""
    undone_since: int | None = None
    """Since when something of it is, in microseconds."""

    @property
    def over(self) -> bool:
        """Whether the machine has come to its end."""
        return self.warm.stage is Stage.OVER

    @property
    def busy(self) -> bool:
        """Whether something is left to be carried out."""
        recalls = self.recalling is not None
        return self.calls or recalls or self.noted < len(self.told) or self.owes_report

    def at_work(self, at: int) -> bool:
        """Whether somebody may still be at what was handed out."""
        return self.again_at is not None and at < self.again_at

    @property
    def answer(self) -> tuple[int, int, bool]:
        """What a caller who asks is answered by: lines, whose room it is (0: none), whether it is over."""
        outcome = self.warm.outcome
        joined = outcome is not None and outcome.state is TransferState.TRANSFERRED
        room = self.warm.attempt if joined or self.warm.stage is Stage.COMMIT else 0
        return len(self.told), room, outcome is not None and not joined

    @property
    def calls(self) -> bool:
        """Whether any of that is done to a call."""
        return bool(self.dials or self.hang_ups) or self.recall is not None

    @property
    def owes_report(self) -> bool:
        """A caller who is passed on cold after all: how that ends is the outcome."""
        outcome = self.warm.outcome
        return outcome is not None and not self.reported and outcome.then is not OnFailure.COLD_TRANSFER

    def parting(self, attempt: int) -> str | None:
        """What a leg of this attempt hears before it is hung up on; None where it is to stay."""
        outcome = self.warm.outcome
        if outcome is not None and outcome.state is TransferState.CALLER_ABANDONED:
            return self.warm.plan.persons.caller_left
        joined = outcome is not None and outcome.state is TransferState.TRANSFERRED
        if attempt == self.warm.attempt and (outcome is None or joined):
            return None
        return self.warm.plan.persons.not_joined

    def notes(self, at: int) -> list[InboundMessage]:
        """What the transcript has yet to be told, in order."""
        notes = [
            self._note(f"told:{n}", f"The caller was told: {line}", {"kind": "caller.told", "text": line}, at)
            for n, line in enumerate(self.told)
            if n >= self.noted
        ]
        if self.owes_report and self.warm.outcome is not None:
            finish = self.warm.outcome
            reason = None if finish.reason is None else finish.reason.value
            event = self._outcome(finish, reason)
            notes.append(self._note("end", transfer_sentence(finish.state.value, reason), event, at))
        return notes

    def _outcome(self, finish: Finish, reason: str | None) -> JsonObject:
        bridged = finish.state is TransferState.TRANSFERRED
        return {
            "kind": "intent.outcome",
            "intent_id": self.id,
            "attempt": self.warm.attempt or None,
            "destination_index": self.warm.destination_index if self.warm.attempt else None,
            "state": finish.state.value,
            "reason": reason,
            "method_used": "bridge" if bridged else None,
        }

    def _note(self, place: str, text: str, event: JsonObject, at: int) -> InboundMessage:
        return InboundMessage(
            channel=Channel.VOICE,
            provider=self.provider,
            provider_message_id=f"{self.call_id}:{self.id}:{place}",
            sender=self.sender,
            recipient=self.recipient,
            text=text,
            received_at=at,
            sender_auth=SenderAuth.VERIFIED if self.proven else SenderAuth.UNVERIFIED,
            thread_key=self.call_id,
            role=Role.SYSTEM_EVENT,
            metadata={"voice_event": {"call_id": self.call_id, **event}},
        )


def hold(new: NewTransfer, at: int) -> HeldCall:
    """Begin: the caller is on hold."""
    warm, commands = begin(WarmPlan.of(new.intent, new.briefing, new.persons), at)
    which = {one.name: getattr(new, one.name) for one in fields(TransferOfCall)}
    held = HeldCall(**which, destination=new.intent.destination, warm=warm)
    return _follow(held, (warm, commands))


def happen(held: HeldCall, event: HeldEvent, at: int, leg_id: str | None = None) -> HeldCall:
    """What an event leads to; `leg_id`: what the provider calls the leg that it came from."""
    match event:
        case CallerAsks():
            return replace(held, recall=None, recalling=None)
        case CallerWaits():
            if held.warm.outcome is None:
                held = replace(held, waits=True, recall=None, recalling=None)
            return held
        case CallerGone():
            held = replace(held, waits=False, recall=None, recalling=None)
        case Tick() if held.recall is None and not held.at_work(at):
            held = replace(held, recall=held.recalling)
        case Leg():
            held = _know(held, event, leg_id)
    return _follow(held, advance(held.warm, event, at))


def _know(held: HeldCall, leg: Leg, leg_id: str | None) -> HeldCall:
    if leg_id is not None and leg.attempt not in held.legs:
        held = replace(held, legs={**held.legs, leg.attempt: leg_id})
    if not leg.live and leg.attempt not in held.gone:
        held = replace(held, gone=(*held.gone, leg.attempt))
    return held


def _follow(held: HeldCall, step: Step) -> HeldCall:
    warm, commands = step
    before, held = held, replace(held, warm=warm)
    for command in commands:
        match command:
            case SayToCaller(text) if len(held.told) < MAX_TOLD:
                held = replace(held, told=(*held.told, text))
            case SayToLeg():
                held = replace(held, line=command, lines=held.lines + 1)
            case Dial():
                held = replace(held, dials=(*held.dials, command))
            case HangUpLeg(attempt):
                held = _drop(held, attempt, command)
    if before.waits and before.answer != held.answer:
        held = replace(held, waits=False, recall=len(before.told), again_at=None)
    kept = tuple(one for one in held.hang_ups if one.attempt not in held.gone)
    return replace(held, hang_ups=kept)


def _drop(held: HeldCall, attempt: int, command: HangUpLeg) -> HeldCall:
    """A person who has not been called yet never is."""
    if any(dial.attempt == attempt for dial in held.dials):
        dials = tuple(dial for dial in held.dials if dial.attempt != attempt)
        return replace(held, dials=dials, gone=(*held.gone, attempt))
    others = tuple(one for one in held.hang_ups if one.attempt != attempt)
    return replace(held, hang_ups=(*others, command), again_at=None)


_STORED: TypeAdapter[HeldCall] = TypeAdapter(HeldCall)


def stored_held(held: HeldCall) -> str:
    """As JSON."""
    return _STORED.dump_json(held).decode()


def restored_held(text: str) -> HeldCall:
    """The transfer of a `stored_held` text."""
    return _STORED.validate_json(text)
