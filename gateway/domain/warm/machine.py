"""The machine of warm transfers: who is dialled, briefed, asked, and joined with the caller, and what if not.

Pure: `advance` takes a transfer as it stands and one event, and gives what follows and what a host has to do.
Events of one call are taken one after the other, so that of two at the same moment the first decides. What a
leg reports carries its attempt; what comes from a leg that was given up is answered by hanging that leg up.
Timers are part of the state: whoever holds it calls with `Tick` when `due` has come; too early or twice does
no harm.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from gateway.domain.clock import SECOND
from gateway.domain.outcome import TransferReason, TransferState
from gateway.domain.warm.attempts import (
    dial_next,
    dropped,
    end_with,
    fail,
    give_up_attempt,
    on_hold,
    timed,
    untimed,
)
from gateway.domain.warm.state import Stage, Step, Timer, Warm, WarmPlan
from gateway.domain.warm.words import (
    Bridge,
    CallerGone,
    Cancel,
    Command,
    Event,
    Finish,
    HangUpLeg,
    Leg,
    LegEvent,
    SayToCaller,
    SayToLeg,
    Spoken,
    StartHold,
    StopHold,
    Tick,
)

ANNOUNCE_SECONDS = 20
"""For the lines before dialling; a host that never says that they were spoken holds nothing up."""
SCREEN_SECONDS = 10
"""For telling a person from a machine; then the briefing begins, and only a confirmation joins anybody."""
BRIDGE_SECONDS = 10
QUIET_SECONDS = 3
"""Before the hold ends nobody is reassured any more."""


def begin(plan: WarmPlan, at: int) -> Step:
    """Put the caller on hold, with a word about it."""
    settings = plan.settings
    warm = Warm(plan=plan, hold_until=at + settings.max_hold_seconds * SECOND)
    lines = " ".join(line for line in (plan.connecting_text, settings.hold_announcement_text) if line)
    warm = timed(on_hold(warm, at), Timer.STAGE, at, ANNOUNCE_SECONDS)
    if not lines:
        warm, commands = dial_next(replace(warm, speaking=False), at)
        return warm, (StartHold(), *commands)
    return warm, (StartHold(), SayToCaller(lines))


def advance(warm: Warm, event: Event, at: int) -> Step:
    """What an event leads to, `at` microseconds."""
    match event:
        case Leg():
            return _leg(warm, event, at)
        case _ if warm.stage is Stage.OVER:
            return warm, ()
        case Tick():
            return _tick(warm, at)
        case Spoken():
            warm = replace(warm, speaking=False)
            return dial_next(warm, at) if warm.stage is Stage.ANNOUNCE else (warm, ())
        case CallerGone():
            return _caller_gone(warm)
        case Cancel():
            if warm.stage is Stage.COMMIT:
                return replace(warm, canceled=True), ()
            return fail(warm, TransferState.CANCELED, None, (*dropped(warm),))


def _leg(warm: Warm, leg: Leg, at: int) -> Step:
    if warm.stage is Stage.OVER or leg.attempt != warm.attempt:
        bridged = warm.outcome is not None and warm.outcome.state is TransferState.TRANSFERRED
        mine = bridged and leg.attempt == warm.attempt
        told = warm.plan.persons.not_joined if leg.event is LegEvent.ACCEPTED else None
        return warm, (HangUpLeg(leg.attempt, told),) if leg.live and not mine else ()
    follow = _LEG.get((warm.stage, leg.event))
    return follow(warm, leg, at) if follow is not None else (warm, ())


def _answered(warm: Warm, _leg: Leg, at: int) -> Step:
    warm = replace(warm, answered=True)
    if warm.plan.settings.detect_supervisor_silence:
        warm = timed(warm, Timer.SILENCE, at, warm.plan.settings.silence_timeout_seconds)
    if not warm.plan.settings.detect_supervisor_voicemail:
        return _brief(warm, _leg, at)
    return timed(replace(warm, stage=Stage.SCREEN), Timer.STAGE, at, SCREEN_SECONDS), ()


def _brief(warm: Warm, _leg: Leg, at: int) -> Step:
    if not warm.plan.briefing:
        return _confirm(warm, _leg, at)
    warm = timed(replace(warm, stage=Stage.BRIEF), Timer.STAGE, at, warm.plan.settings.max_briefing_seconds)
    # who is being told something is silent
    return untimed(warm, Timer.SILENCE), (SayToLeg(warm.attempt, warm.plan.briefing, briefing=True),)


def _confirm(warm: Warm, _leg: Leg, at: int) -> Step:
    settings = warm.plan.settings
    warm = timed(replace(warm, stage=Stage.CONFIRM), Timer.STAGE, at, settings.bridge_confirm_seconds)
    if settings.detect_supervisor_silence:
        warm = timed(warm, Timer.SILENCE, at, settings.silence_timeout_seconds)
    return warm, (SayToLeg(warm.attempt, warm.plan.persons.confirm, asks=True),)


def _commit(warm: Warm, _leg: Leg, at: int) -> Step:
    warm = replace(warm, stage=Stage.COMMIT, timers={}, speaking=False, retried_bridge=False)
    return timed(warm, Timer.STAGE, at, BRIDGE_SECONDS), (StopHold(), Bridge(warm.attempt))


def _bridged(warm: Warm, _leg: Leg, _at: int) -> Step:
    return end_with(warm, Finish(TransferState.TRANSFERRED, None, None))


def _bridge_failed(warm: Warm, _leg: Leg, at: int) -> Step:
    if warm.retried_bridge or warm.canceled:
        return give_up_attempt(warm, TransferReason.BRIDGE_ERROR, at, say=warm.plan.persons.not_joined)
    warm = timed(replace(warm, retried_bridge=True), Timer.STAGE, at, BRIDGE_SECONDS)
    return warm, (Bridge(warm.attempt),)


def _heard(warm: Warm, _leg: Leg, at: int) -> Step:
    warm = replace(warm, reminded=False)
    if Timer.SILENCE in warm.timers:
        warm = timed(warm, Timer.SILENCE, at, warm.plan.settings.silence_timeout_seconds)
    return warm, ()


def _lost(default: TransferReason) -> Callable[[Warm, Leg, int], Step]:
    """The leg is no more, or not wanted: the next one."""

    def lost(warm: Warm, leg: Leg, at: int) -> Step:
        if not leg.live:
            return give_up_attempt(warm, leg.reason or default, at, hang_up=False)
        return give_up_attempt(warm, default, at)

    return lost


_declined = _lost(TransferReason.DECLINED)
_unanswered = _lost(TransferReason.NO_ANSWER)
_machine = _lost(TransferReason.VOICEMAIL)
_unjoined = _lost(TransferReason.BRIDGE_ERROR)

_LEG: Mapping[tuple[Stage, LegEvent], Callable[[Warm, Leg, int], Step]] = {
    (Stage.DIAL, LegEvent.ANSWERED): _answered,
    (Stage.DIAL, LegEvent.FAILED): _unanswered,
    (Stage.DIAL, LegEvent.GONE): _unanswered,
    (Stage.DIAL, LegEvent.DECLINED): _declined,
    (Stage.DIAL, LegEvent.MACHINE): _machine,
    (Stage.SCREEN, LegEvent.HUMAN): _brief,
    (Stage.SCREEN, LegEvent.MACHINE): _machine,
    (Stage.SCREEN, LegEvent.HEARD): _heard,
    (Stage.BRIEF, LegEvent.BRIEFED): _confirm,
    (Stage.BRIEF, LegEvent.ACCEPTED): _commit,
    (Stage.BRIEF, LegEvent.HEARD): _heard,
    (Stage.CONFIRM, LegEvent.ACCEPTED): _commit,
    (Stage.CONFIRM, LegEvent.HEARD): _heard,
    (Stage.COMMIT, LegEvent.BRIDGED): _bridged,
    (Stage.COMMIT, LegEvent.BRIDGE_FAILED): _bridge_failed,
    (Stage.COMMIT, LegEvent.FAILED): _unjoined,
    (Stage.COMMIT, LegEvent.GONE): _unjoined,
    **{
        (stage, event): _declined
        for stage in (Stage.SCREEN, Stage.BRIEF, Stage.CONFIRM)
        for event in (LegEvent.DECLINED, LegEvent.GONE, LegEvent.FAILED)
    },
    (Stage.BRIEF, LegEvent.MACHINE): _machine,
    (Stage.CONFIRM, LegEvent.MACHINE): _machine,
}
"""What a leg's event means at a stage; whatever is not here means nothing there."""

_TOO_LONG: Mapping[Stage, TransferReason] = {
    Stage.DIAL: TransferReason.NO_ANSWER,
    Stage.BRIEF: TransferReason.BRIEFING_TIMEOUT,
    Stage.CONFIRM: TransferReason.CONFIRM_TIMEOUT,
    Stage.COMMIT: TransferReason.BRIDGE_ERROR,
}


def _tick(warm: Warm, at: int) -> Step:
    """One timer after the other, the earliest first; the hold's end before all others of its moment."""
    commands: list[Command] = []
    while warm.due is not None and warm.due <= at:
        timer = min(warm.timers, key=lambda name: (warm.timers[name], name is not Timer.HOLD))
        warm, more = _FIRED[timer](untimed(warm, timer), at)
        commands += more
    return warm, tuple(commands)


def _stage_over(warm: Warm, at: int) -> Step:
    leg = Leg(warm.attempt, LegEvent.GONE)
    if warm.stage is Stage.ANNOUNCE:
        return dial_next(replace(warm, speaking=False), at)
    if warm.stage is Stage.SCREEN:
        return _brief(warm, leg, at)
    reason = _TOO_LONG[warm.stage]
    if warm.stage is Stage.CONFIRM and warm.reminded:
        reason = TransferReason.SUPERVISOR_SILENT
    told = warm.plan.persons.not_joined if warm.stage is Stage.COMMIT else None
    return give_up_attempt(warm, reason, at, say=told)


def _silent(warm: Warm, at: int) -> Step:
    if warm.reminded:
        return give_up_attempt(warm, TransferReason.SUPERVISOR_SILENT, at)
    settings = warm.plan.settings
    warm = timed(replace(warm, reminded=True), Timer.SILENCE, at, settings.silence_timeout_seconds)
    asks = warm.stage is Stage.CONFIRM
    return warm, (SayToLeg(warm.attempt, settings.silence_reminder_text, asks=asks),)


def _reassure(warm: Warm, at: int) -> Step:
    settings = warm.plan.settings
    busy = warm.speaking or warm.hold_until - at < QUIET_SECONDS * SECOND
    warm = timed(warm, Timer.REASSURE, at, settings.reassurance_interval_seconds)
    if busy or not settings.reassurance_text:
        return warm, ()
    return replace(warm, speaking=True), (SayToCaller(settings.reassurance_text),)


def _held_too_long(warm: Warm, _at: int) -> Step:
    return fail(warm, TransferState.RETURNED, TransferReason.HOLD_TIMEOUT, (*dropped(warm),))


_FIRED: Mapping[Timer, Callable[[Warm, int], Step]] = {
    Timer.HOLD: _held_too_long,
    Timer.REASSURE: _reassure,
    Timer.STAGE: _stage_over,
    Timer.SILENCE: _silent,
}


def _caller_gone(warm: Warm) -> Step:
    drop: tuple[Command, ...] = dropped(warm)
    if warm.answered and drop:
        drop = (HangUpLeg(warm.attempt, warm.plan.persons.caller_left),)
    return end_with(warm, Finish(TransferState.CALLER_ABANDONED, None, None), drop)
