"""The attempts of a warm transfer: the next person is called, or it ends; what is timed meanwhile. Pure."""

from dataclasses import replace

from gateway.domain.clock import SECOND
from gateway.domain.intent import OnFailure
from gateway.domain.outcome import TransferReason, TransferState
from gateway.domain.warm.state import Stage, Step, Timer, Warm
from gateway.domain.warm.words import (
    Command,
    Dial,
    Finish,
    HangUpLeg,
    SayToCaller,
    StartHold,
    StopHold,
)


def dial_next(warm: Warm, at: int) -> Step:
    """Call the next person."""
    settings = warm.plan.settings
    warm = replace(warm, stage=Stage.DIAL, attempt=warm.attempt + 1, answered=False, reminded=False)
    seconds = max(1, min(settings.max_dial_seconds, (warm.hold_until - at) // SECOND))
    index = warm.destination_index
    dial = Dial(
        warm.attempt, index, warm.plan.destinations[index], seconds, settings.detect_supervisor_voicemail
    )
    return timed(untimed(warm, Timer.SILENCE), Timer.STAGE, at, seconds), (dial,)


def give_up_attempt(
    warm: Warm, reason: TransferReason, at: int, *, say: str | None = None, hang_up: bool = True
) -> Step:
    """This attempt has failed: the next one, or the end."""
    drop = (HangUpLeg(warm.attempt, say),) if hang_up else ()
    held = warm.stage is not Stage.COMMIT
    if warm.canceled:
        return fail(warm, TransferState.CANCELED, None, drop)
    if at >= warm.hold_until:
        return fail(warm, TransferState.RETURNED, TransferReason.HOLD_TIMEOUT, drop)
    if warm.attempt >= warm.plan.attempts:
        return fail(warm, TransferState.RETURNED, reason, drop)
    commands: list[Command] = [*drop]
    if not held:
        warm = on_hold(warm, at)
        commands.append(StartHold())
    if warm.plan.retry_text:
        warm = replace(warm, speaking=True)
        commands.append(SayToCaller(warm.plan.retry_text))
    warm, dial = dial_next(warm, at)
    return warm, (*commands, *dial)


def fail(warm: Warm, state: TransferState, reason: TransferReason | None, drop: tuple[Command, ...]) -> Step:
    """The caller is off hold, and is told, unless the gateway itself wanted the end."""
    failure = warm.plan.settings.failure_text
    if state is TransferState.CANCELED:
        return end_with(warm, Finish(state, reason, None), (*drop, StopHold()))
    said = (SayToCaller(failure),) if failure else ()
    then = warm.plan.on_failure
    state = state if then is OnFailure.RETURN_TO_AGENT else TransferState.FAILED
    return end_with(warm, Finish(state, reason, then), (*drop, StopHold(), *said))


def dropped(warm: Warm) -> tuple[HangUpLeg, ...]:
    """End the leg of this attempt, if there is one."""
    return () if warm.stage is Stage.ANNOUNCE else (HangUpLeg(warm.attempt),)


def end_with(warm: Warm, finish: Finish, commands: tuple[Command, ...] = ()) -> Step:
    """The transfer is over."""
    return replace(warm, stage=Stage.OVER, timers={}, speaking=False, outcome=finish), (*commands, finish)


def on_hold(warm: Warm, at: int) -> Warm:
    """The caller is: they are reassured now and then, and for so long at most."""
    timers = {**warm.timers, Timer.HOLD: warm.hold_until}
    return timed(
        replace(warm, timers=timers), Timer.REASSURE, at, warm.plan.settings.reassurance_interval_seconds
    )


def timed(warm: Warm, timer: Timer, at: int, seconds: int) -> Warm:
    """A timer is set anew."""
    return replace(warm, timers={**warm.timers, timer: at + seconds * SECOND})


def untimed(warm: Warm, timer: Timer) -> Warm:
    """A timer is stopped."""
    return replace(warm, timers={name: due for name, due in warm.timers.items() if name is not timer})
