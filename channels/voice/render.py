"""What a call does after a turn: the outcome and its intents as verbs. Pure.

A host that cannot do exactly what an intent asks for does the nearest thing, and the rendering names what was
replaced (`downgrades`), so that it can be recorded.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from channels.voice.destination import Destination, destination_kind
from channels.voice.downgrade import Downgrade
from channels.voice.relay.render import render_intent as relay_frames
from channels.voice.steps import Links, Step
from channels.voice.twiml import document, gather_downgrades
from channels.voice.verbs import Dial, Gather, HangUp, Redirect, Refer, Say, Verb
from channels.voice.wishes import Wishes, is_waiting, wishes_of
from gateway.domain.call_rules import UNSET_SPEECH, CallTexts, Speech
from gateway.domain.intent import (
    CallTransferIntent,
    DtmfInputSpec,
    IntentKind,
    OnFailure,
    TransferMode,
    WarmTransfer,
    resolve_digits,
)
from gateway.domain.turn import Path, TurnOutcome, TurnState
from gateway.domain.warm.words import CONFIRM_PROMPT

HOLD_SECONDS = 5
"""How long a caller on hold is listened to before it is looked what a person has said."""
INVALID_DESTINATION = "invalid_destination"
WHISPER = Downgrade("mode", "whisper")
ACCEPT = "1"
MAX_FILE = 1_048_576


class CannotRender(ValueError):
    """One line that says why there is nothing to show."""


class _IntentFile(BaseModel):
    model_config = ConfigDict(extra="ignore")

    kind: IntentKind
    payload: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rendering:
    """Verbs for a call, and what the host cannot do exactly."""

    verbs: tuple[Verb, ...]
    downgrades: tuple[Downgrade, ...] = ()

    def twiml(self, speech: Speech = UNSET_SPEECH) -> str:
        """The verbs as a TwiML document."""
        return document(self.verbs, speech)


def render_outcome(
    outcome: TurnOutcome, links: Links, step: Step, texts: CallTexts, *, refers: bool = False
) -> Rendering:
    """What the caller hears after the input of `step` was answered with `outcome`.

    `refers`: the caller's own side can be told to call somebody else.
    """
    n, since = step.n, step.since
    wishes = wishes_of(outcome.intents)
    said = (Say(outcome.text),) if outcome.text.strip() else ()
    if outcome.ended or wishes.hang_up:
        return Rendering((*(said or (Say(texts.goodbye),)), HangUp()))
    if outcome.error is not None or outcome.state in (TurnState.FAILED, TurnState.DEAD):
        return listen(links, n + 1, texts.apology)
    if wishes.transfer is not None:
        return after(said, render_transfer(wishes.transfer, links, Step(n=n), refers=refers))
    if is_waiting(outcome):
        if outcome.path is not Path.QUEUED or since is None:
            since = max(since or 0, newest_of(outcome))  # else a person has said something before, maybe
        line = () if step.holds else _hold_line(outcome, texts)
        return hold(links, Step(n=n + 1, holds=1, since=since), *said, *line)
    if outcome.state is TurnState.SUPERSEDED:
        return listen(links, n + 1, texts.apology)
    return _collect(wishes.digits, said, links, n + 1)


def render_transfer(
    intent: CallTransferIntent, links: Links, step: Step, *, refers: bool = False
) -> Rendering:
    """A transfer asked for by the input of `step`, in one document.

    A warm one is a whisper: the person is briefed and asked, but nobody can speak to a caller who is being
    connected; and what is played at the end of a whisper is nobody's to cut.
    """
    said = (Say(intent.connecting_text),) if intent.connecting_text else ()
    if intent.mode is TransferMode.WARM:
        return Rendering((*said, _whispered(intent, links, replace(step, attempt=1))), (WHISPER,))
    kind = destination_kind(intent.destination)
    if kind is Destination.SIP and refers:
        return Rendering((*said, Refer(destination=intent.destination, action=links.referred(step))))
    if kind is None:
        return Rendering((_undialable(links, step),))
    seconds = WarmTransfer().max_dial_seconds
    dial = Dial(destination=intent.destination, action=links.dialed(step), timeout_seconds=seconds)
    return Rendering((*said, dial))


def render_next_attempt(wishes: Wishes, links: Links, step: Step) -> Rendering | None:
    """After a whisper that led nowhere: the next person; None where it was the last, or none."""
    intent = wishes.transfer
    if intent is None or intent.mode is not TransferMode.WARM or step.transfer:
        return None
    if not 1 <= step.attempt <= intent.max_retries:
        return None
    said = intent.retry_text or (intent.warm or WarmTransfer()).retry_announcement_text
    following = replace(step, attempt=step.attempt + 1, reason="", tries=0)
    return Rendering((*((Say(said),) if said else ()), _whispered(intent, links, following)))


def render_whisper(
    wishes: Wishes, links: Links, step: Step, digits: str, confirm: str = CONFIRM_PROMPT
) -> Rendering:
    """What a person hears before they are joined: briefing and question. An empty document joins them."""
    if digits == ACCEPT:
        return Rendering(())
    if digits or step.tries or wishes.transfer is None:
        return Rendering((HangUp(),))
    briefing = (Say(wishes.briefing),) if wishes.briefing else ()
    asked = Gather(
        action=links.whisper(replace(step, tries=1)),
        prompts=(*briefing, Say(confirm)),
        digits=DtmfInputSpec(max_digits=1, termination_digit=""),
        timeout_seconds=(wishes.transfer.warm or WarmTransfer()).bridge_confirm_seconds,
        keys_only=True,
    )
    return Rendering((asked, HangUp()))


def _whispered(intent: CallTransferIntent, links: Links, step: Step) -> Verb:
    persons = intent.warm_destinations or [intent.destination]
    destination = persons[(step.attempt - 1) % len(persons)]
    if destination_kind(destination) is None:
        return _undialable(links, step)
    return Dial(
        destination=destination,
        action=links.dialed(step),
        timeout_seconds=(intent.warm or WarmTransfer()).max_dial_seconds,
        whisper=links.whisper(step),
    )


def _undialable(links: Links, step: Step) -> Verb:
    """The way back from a failed transfer is the same whether or not anybody was called."""
    return Redirect(links.dialed(replace(step, reason=INVALID_DESTINATION)))


def render_transfer_failed(wishes: Wishes, links: Links, n: int) -> Rendering:
    """What the caller hears when the transfer that input number `n` led to has reached nobody."""
    intent = wishes.transfer
    text = ((intent.warm if intent else None) or WarmTransfer()).failure_text
    action = intent.failure_action if intent else OnFailure.RETURN_TO_AGENT
    if action is OnFailure.HANGUP:
        return Rendering((Say(text), HangUp()))
    return Rendering(listen(links, n + 1, text).verbs, failure_downgrades(action))


def failure_downgrades(action: OnFailure | None) -> tuple[Downgrade, ...]:
    """What else was to be done with a caller whom the agent gets back."""
    if action in (None, OnFailure.RETURN_TO_AGENT):
        return ()
    return (Downgrade("on_failure", OnFailure.RETURN_TO_AGENT.value),)


def newest_of(outcome: TurnOutcome | None) -> int:
    """The newest message of a turn; 0 where there is none."""
    return 0 if outcome is None else max(outcome.message_seqs, default=0)


def listen(links: Links, n: int, text: str, since: int | None = None) -> Rendering:
    """Say a line and wait for input number `n`; `since`: the newest message that was said."""
    return Rendering((Gather(action=links.input(Step(n=n, since=since)), prompts=(Say(text),)),))


def hold(links: Links, step: Step, *said: Say) -> Rendering:
    """Keep the caller on the line; what they say meanwhile is taken."""
    return Rendering((Gather(action=links.input(step), prompts=said, timeout_seconds=HOLD_SECONDS),))


def render_file(host: str, raw: bytes, links: Links | None = None) -> str:
    """What a host is sent for the intent `{"kind", "payload"}` in a file; raises CannotRender."""
    if host not in ("twilio", "jambonz", "relay"):
        raise CannotRender("the hosts are twilio, jambonz and relay")
    if len(raw) > MAX_FILE:
        raise CannotRender(f"the file is larger than {MAX_FILE} bytes")
    try:
        intent = _IntentFile.model_validate(json.loads(raw))
        if host == "jambonz":
            from channels.voice.jambonz.render import render_intent  # it needs what is said here

            return render_intent(intent.kind, intent.payload)
        if host == "relay":
            return relay_frames(intent.kind, intent.payload)
        return _render_intent(intent, links or Links()).twiml()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CannotRender(f"{place or 'intent'}: {first['msg']}") from None
    except CannotRender:
        raise
    except (ValueError, RecursionError):
        raise CannotRender("the file is not JSON") from None


def _render_intent(intent: _IntentFile, links: Links) -> Rendering:
    match intent.kind:
        case IntentKind.SAY:
            return Rendering((Say(str(intent.payload.get("text", ""))),))
        case IntentKind.COLLECT_DTMF:
            spec, _ = resolve_digits(DtmfInputSpec.model_validate(intent.payload), DtmfInputSpec())
            return _collect(spec, (), links, 1)
        case IntentKind.TRANSFER:
            return render_transfer(CallTransferIntent.model_validate(intent.payload), links, Step(n=1))
        case IntentKind.HANG_UP:
            return Rendering((HangUp(),))
        case IntentKind.CANCEL:
            # TwiML is an answer to a request: it cannot reach a verb that already runs.
            return Rendering(())


def _collect(spec: DtmfInputSpec | None, said: tuple[Say, ...], links: Links, n: int) -> Rendering:
    digits = None if spec is None or spec.expects_input is False else spec
    gather = Gather(action=links.input(Step(n=n, digits=digits)), prompts=said, digits=digits)
    return Rendering((gather,), tuple(gather_downgrades(digits)) if digits else ())


def _hold_line(outcome: TurnOutcome, texts: CallTexts) -> tuple[Say, ...]:
    """An approval's own holding line is enough."""
    return () if outcome.path is Path.APPROVAL and outcome.text else (Say(texts.hold),)


def after(said: tuple[Say, ...], rendering: Rendering) -> Rendering:
    """The same when this was said."""
    return Rendering((*said, *rendering.verbs), rendering.downgrades)
