"""What the two calls of a warm transfer are told to do, made from how it stands. Pure.

Both ask again and again: nothing has to reach them, and a question that comes late or twice is answered by
what holds now. A caller who joins a person or hears music does not ask meanwhile, and is called back.
"""

from dataclasses import replace

from channels.voice.destination import destination_kind
from channels.voice.steps import Links, Step
from channels.voice.verbs import Dial, Gather, HangUp, Join, Pause, Play, Redirect, Say, Verb
from gateway.domain.call_rules import CallTexts
from gateway.domain.intent import DtmfInputSpec, OnFailure
from gateway.domain.outcome import TransferReason, TransferState
from gateway.domain.warm.held import HeldCall
from gateway.domain.warm.state import Stage

ASK_AGAIN_SECONDS = 2
"""How often a caller on hold asks: how long a person who has accepted waits for them at most."""
ANSWER_SECONDS = 5
"""How long a person's answer is waited for before they are asked what else there is."""
_ONE_KEY = DtmfInputSpec(max_digits=1, termination_digit="")


def room_of(held: HeldCall) -> str:
    """Where caller and person meet: one for each attempt, so that nobody comes late into another's."""
    return f"{held.id}-{held.warm.attempt}"


def lines_since(held: HeldCall, told: int) -> tuple[Say, ...]:
    """What the caller has yet to be told."""
    return tuple(Say(line) for line in held.told[told:])


def returns_to_agent(held: HeldCall) -> bool:
    """Whether nobody took the call, and the caller is to be heard by the agent again."""
    outcome = held.warm.outcome
    return (
        outcome is not None
        and outcome.state in (TransferState.RETURNED, TransferState.FAILED)
        and outcome.then not in (OnFailure.HANGUP, OnFailure.COLD_TRANSFER)
    )


def waits_quietly(held: HeldCall, step: Step, music: str | None) -> bool:
    """Whether a caller who asks is told what lasts until they are called back."""
    if held.warm.outcome is not None:
        return False
    return held.warm.stage is Stage.COMMIT or (music is not None and step.told >= len(held.told))


def caller_document(
    held: HeldCall, step: Step, links: Links, texts: CallTexts, music: str | None = None
) -> tuple[Verb, ...]:
    """For a caller on hold who asks; not for one who returns to the agent."""
    here, said = replace(step, told=len(held.told)), lines_since(held, step.told)
    outcome = held.warm.outcome
    if outcome is None:
        if held.warm.stage is Stage.COMMIT:
            return (_join(held, here, links, begins=True),)
        if said and music is not None:
            # they ask as soon as that was said: music would hide for long that it was
            return (*said, Redirect(links.hold(here)))
        # a recording that Twilio cannot fetch is over at once: they ask no more often than without one
        played = () if music is None else (Play(music),)
        return (*said, *played, Pause(ASK_AGAIN_SECONDS), Redirect(links.hold(here)))
    if outcome.state is TransferState.TRANSFERRED:
        return (_join(held, here, links, begins=True),)
    if outcome.then is OnFailure.COLD_TRANSFER:
        return (*said, _pass_on(held, here, links))
    if outcome.state is TransferState.CANCELED:
        return (Say(texts.goodbye), HangUp())
    return (*said, HangUp())


def leg_document(held: HeldCall, step: Step, links: Links) -> tuple[Verb, ...]:
    """For the person of an attempt, whose call asks."""
    parting = held.parting(step.attempt)
    if parting is not None:
        return (Say(parting), HangUp())
    if step.tries:
        return (HangUp(),)  # they were in the room, or were to be, and that is over
    warm = held.warm
    if warm.stage in (Stage.COMMIT, Stage.OVER):
        return (_join(held, step, links, begins=False),)
    if held.line is None or held.line.attempt != step.attempt:
        return (Pause(1), Redirect(links.leg(step)))
    here = replace(step, told=held.lines)
    prompts = (Say(held.line.text),) if step.told < held.lines else ()
    asks = held.line.asks
    listens = asks and warm.plan.settings.detect_supervisor_silence
    return (
        Gather(
            action=links.leg(here),
            prompts=prompts,
            digits=_ONE_KEY,
            timeout_seconds=ANSWER_SECONDS if asks else 1,
            keys_only=not listens,
        ),
    )


def _pass_on(held: HeldCall, step: Step, links: Links) -> Verb:
    action, seconds = links.dialed, held.warm.plan.settings.max_dial_seconds
    if destination_kind(held.destination) is None:
        return Redirect(action(replace(step, reason=TransferReason.INVALID_DESTINATION.value)))
    return Dial(destination=held.destination, action=action(step), timeout_seconds=seconds)


def _join(held: HeldCall, step: Step, links: Links, *, begins: bool) -> Join:
    attempt = Step(n=step.n, transfer=held.id, attempt=held.warm.attempt)
    action = links.joined(step) if begins else links.leg(replace(step, tries=1))
    return Join(room=room_of(held), action=action, events=links.room(attempt), begins=begins)
