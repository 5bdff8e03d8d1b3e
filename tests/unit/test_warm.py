"""The warm transfer: its way, its races, and ten thousand orders of events."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from gateway.domain.clock import SECOND
from gateway.domain.intent import CallTransferIntent, OnFailure, TransferMode, WarmTransfer, resolve_transfer
from gateway.domain.outcome import TransferReason, TransferState
from gateway.domain.warm.machine import SCREEN_SECONDS, advance, begin
from gateway.domain.warm.state import Stage, Warm, WarmPlan, restored, stored
from gateway.domain.warm.words import (
    CALLER_LEFT,
    NOT_JOINED,
    Bridge,
    CallerGone,
    Cancel,
    Command,
    Dial,
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

_Command = TypeVar("_Command")
ANN, BOB = "+15550112", "sip:desk@example.org"


def plan(
    *, on_failure: str | None = None, retries: int = 1, briefing: str = "A caller.", **warm: object
) -> WarmPlan:
    """A transfer to Ann, then Bob."""
    intent, _ = resolve_transfer(
        CallTransferIntent(
            destination=ANN,
            mode=TransferMode.WARM,
            warm_destinations=[ANN, BOB],
            max_retries=retries,
            connecting_text="I'll connect you.",
            on_failure=on_failure,
            warm=WarmTransfer.model_validate(warm),
        )
    )
    return WarmPlan.of(intent, briefing)


@dataclass
class Played:
    """A transfer, all that a host had to do, and the time."""

    warm: Warm
    commands: list[Command]
    at: int = 0
    all: list[Command] = field(default_factory=list)

    @classmethod
    def of(cls, wanted: WarmPlan) -> "Played":
        warm, commands = begin(wanted, 0)
        return cls(warm, [*commands], all=[*commands])

    def do(self, *events: Event, after: float = 0) -> "Played":
        """Let this happen; `commands` are what followed from it."""
        self.at += int(after * SECOND)
        self.commands = []
        for event in events:
            # what is kept between two events is all there is
            self.warm, commands = advance(restored(stored(self.warm)), event, self.at)
            self.commands += commands
        self.all += self.commands
        return self

    @property
    def outcome(self) -> Finish | None:
        return self.warm.outcome

    def of_kind(self, kind: type[_Command]) -> list[_Command]:
        return [command for command in self.all if isinstance(command, kind)]


def leg(event: LegEvent, attempt: int = 1, reason: TransferReason | None = None) -> Leg:
    """An event of an attempt's leg."""
    return Leg(attempt, event, reason)


def asked(**settings: object) -> Played:
    """A transfer whose first person has been briefed and asked."""
    return Played.of(plan(**settings)).do(Spoken(), leg(LegEvent.ANSWERED), leg(LegEvent.BRIEFED))  # type: ignore[arg-type]


def test_the_way_to_a_person() -> None:
    """Announced, dialled, briefed, asked, joined."""
    played = Played.of(plan())
    hold = WarmTransfer().hold_announcement_text
    assert played.commands == [StartHold(), SayToCaller(f"I'll connect you. {hold}")]
    assert played.do(Spoken()).commands == [Dial(1, 0, ANN, 30, screen=False)]
    assert played.do(leg(LegEvent.ANSWERED)).commands == [SayToLeg(1, "A caller.", briefing=True)]
    played.do(leg(LegEvent.BRIEFED))
    assert [type(command) for command in played.commands] == [SayToLeg]
    assert played.do(leg(LegEvent.ACCEPTED)).commands == [StopHold(), Bridge(1)]
    assert played.do(leg(LegEvent.BRIDGED)).commands == [Finish(TransferState.TRANSFERRED, None, None)]
    assert played.warm.due is None


def test_without_briefing_the_person_is_asked_at_once() -> None:
    """`message_mode: none`."""
    played = Played.of(plan(briefing="")).do(Spoken(), leg(LegEvent.ANSWERED))
    assert played.warm.stage is Stage.CONFIRM


def test_one_does_not_answer_and_one_declines() -> None:
    """The caller hears that it is tried again, and at last that it failed; then the agent has them back."""
    played = Played.of(plan(reassurance_interval_seconds=60)).do(Spoken()).do(Tick(), after=30)
    assert played.commands == [
        HangUpLeg(1),
        SayToCaller(WarmTransfer().retry_announcement_text),
        Dial(2, 1, BOB, 30, screen=False),
    ]
    played.do(leg(LegEvent.ANSWERED, 2), leg(LegEvent.BRIEFED, 2), leg(LegEvent.DECLINED, 2))
    assert played.commands[-4:] == [
        HangUpLeg(2),
        StopHold(),
        SayToCaller(WarmTransfer().failure_text),
        Finish(TransferState.RETURNED, TransferReason.DECLINED, OnFailure.RETURN_TO_AGENT),
    ]


@pytest.mark.parametrize(
    ("stage", "seconds", "reason"),
    [
        ((), 30, TransferReason.NO_ANSWER),
        ((LegEvent.ANSWERED,), 60, TransferReason.BRIEFING_TIMEOUT),
        ((LegEvent.ANSWERED, LegEvent.BRIEFED), 20, TransferReason.CONFIRM_TIMEOUT),
        ((LegEvent.ANSWERED, LegEvent.ACCEPTED), 10, TransferReason.BRIDGE_ERROR),
    ],
)
def test_what_takes_too_long(stage: tuple[LegEvent, ...], seconds: int, reason: TransferReason) -> None:
    """Every stage has its time."""
    played = Played.of(plan(retries=0)).do(Spoken(), *(leg(event) for event in stage))
    assert played.do(Tick(), after=seconds - 1).outcome is None
    outcome = played.do(Tick(), after=1).outcome
    assert outcome == Finish(TransferState.RETURNED, reason, OnFailure.RETURN_TO_AGENT)
    assert HangUpLeg(1, NOT_JOINED if reason is TransferReason.BRIDGE_ERROR else None) in played.commands


def test_the_hold_is_capped_over_all_attempts() -> None:
    """Three times 30 s of dialling, and the fourth has the 20 that are left."""
    played = Played.of(plan(retries=5)).do(Spoken())
    for _ in range(3):
        played.do(Tick(), after=30)
    assert played.of_kind(Dial)[-1].timeout_seconds == 20
    assert played.do(Tick(), after=20).outcome == Finish(
        TransferState.RETURNED, TransferReason.HOLD_TIMEOUT, OnFailure.RETURN_TO_AGENT
    )


def test_what_follows_a_failure_is_the_intents_choice() -> None:
    """And an unknown choice is the agent."""
    for given, then in (("hangup", OnFailure.HANGUP), ("nonsense", OnFailure.RETURN_TO_AGENT)):
        played = asked(on_failure=given, retries=0).do(leg(LegEvent.DECLINED))
        assert played.outcome is not None
        assert played.outcome.then is then


def test_reassurance() -> None:
    """Every 20 s, but not while something is said, and not just before the end."""
    played = Played.of(plan(max_dial_seconds=120)).do(Tick(), after=20)
    assert SayToCaller(WarmTransfer().reassurance_text) not in played.commands
    played.do(Spoken())
    played.do(Tick(), after=20)
    assert played.commands == [SayToCaller(WarmTransfer().reassurance_text)]
    assert played.do(Tick(), after=20).commands == []
    played.do(Spoken())
    assert played.do(Tick(), after=48).commands == []


def test_a_silent_person_is_reminded_once() -> None:
    """Then the next one."""
    settings = {"detect_supervisor_silence": True, "silence_timeout_seconds": 5}
    played = asked(retries=0, **settings).do(Tick(), after=5)
    assert played.commands == [SayToLeg(1, WarmTransfer().silence_reminder_text, asks=True)]
    outcome = played.do(Tick(), after=5).outcome
    assert outcome is not None
    assert outcome.reason is TransferReason.SUPERVISOR_SILENT
    heard = asked(retries=0, **settings).do(Tick(), after=5).do(leg(LegEvent.HEARD)).do(Tick(), after=5)
    assert heard.outcome is None


def test_screening_for_machines() -> None:
    """A machine is hung up on; without a word about it, a person is assumed."""
    played = Played.of(plan(retries=0, detect_supervisor_voicemail=True)).do(Spoken(), leg(LegEvent.ANSWERED))
    assert played.commands[-1:] == [Dial(1, 0, ANN, 30, screen=True)]
    assert Played.do(played, Tick(), after=SCREEN_SECONDS).warm.stage is Stage.BRIEF
    outcome = played.do(leg(LegEvent.MACHINE)).outcome
    assert outcome is not None
    assert outcome.reason is TransferReason.VOICEMAIL


def test_r1_the_caller_leaves_while_it_rings() -> None:
    """The other side is called off and never briefed."""
    played = Played.of(plan()).do(Spoken()).do(CallerGone())
    assert played.commands == [HangUpLeg(1), Finish(TransferState.CALLER_ABANDONED, None, None)]
    assert played.do(leg(LegEvent.ANSWERED)).commands == [HangUpLeg(1)]


def test_r2_the_caller_leaves_during_the_briefing() -> None:
    """One fixed sentence, then nothing."""
    played = Played.of(plan()).do(Spoken(), leg(LegEvent.ANSWERED)).do(CallerGone())
    assert played.commands[0] == HangUpLeg(1, CALLER_LEFT)
    assert played.do(leg(LegEvent.BRIEFED)).commands == [HangUpLeg(1)]


def test_r3_the_bridge_fails_and_the_person_hangs_up() -> None:
    """The attempt ends, and the caller is on hold for the next one."""
    played = asked().do(leg(LegEvent.ACCEPTED)).do(leg(LegEvent.BRIDGE_FAILED))
    assert played.commands == [Bridge(1)]
    played.do(leg(LegEvent.GONE))
    assert played.commands[0] == StartHold()
    assert played.commands[-1] == Dial(2, 1, BOB, 30, screen=False)
    assert played.warm.due is not None
    again = asked().do(leg(LegEvent.ACCEPTED), leg(LegEvent.BRIDGE_FAILED)).do(leg(LegEvent.BRIDGE_FAILED))
    assert again.commands[0] == HangUpLeg(1, NOT_JOINED)


def test_r4_the_person_leaves_for_whatever_reason() -> None:
    """At every stage the attempt ends."""
    for events in ([], [LegEvent.ANSWERED], [LegEvent.ANSWERED, LegEvent.BRIEFED]):
        played = Played.of(plan()).do(Spoken(), *(leg(event) for event in events))
        assert played.do(leg(LegEvent.GONE)).warm.attempt == 2


def test_r6_an_answer_that_crosses_the_end_of_dialling() -> None:
    """Hung up on, not briefed."""
    played = Played.of(plan()).do(Spoken()).do(Tick(), after=30)
    assert played.do(leg(LegEvent.ANSWERED, 1)).commands == [HangUpLeg(1)]


def test_r7_the_first_of_two_at_the_same_moment_decides() -> None:
    """Accepted or too late, never both."""
    first = asked(retries=0).do(leg(LegEvent.ACCEPTED), Tick(), after=20)
    assert first.warm.stage is Stage.COMMIT
    second = asked(retries=0).do(Tick(), leg(LegEvent.ACCEPTED), after=20)
    assert second.of_kind(Bridge) == []
    assert second.commands[-1] == HangUpLeg(1, NOT_JOINED)


def test_r8_r15_nothing_stops_a_bridge_that_has_begun() -> None:
    """Neither the end of the hold nor a cancel; but it counts when the bridge fails."""
    played = asked().do(leg(LegEvent.ACCEPTED)).do(Cancel(), after=5)
    assert played.commands == []
    assert played.do(leg(LegEvent.BRIDGED)).outcome == Finish(TransferState.TRANSFERRED, None, None)
    failed = asked().do(leg(LegEvent.ACCEPTED), Cancel(), leg(LegEvent.BRIDGE_FAILED))
    assert failed.outcome == Finish(TransferState.CANCELED, None, None)


def test_r9_who_presses_nothing_is_not_joined() -> None:
    """A voicemail that listens to the end."""
    played = asked(retries=0).do(Tick(), after=20)
    assert played.of_kind(Bridge) == []


def test_r11_a_machine_that_has_accepted_is_a_person() -> None:
    """The detector is late."""
    assert asked().do(leg(LegEvent.ACCEPTED)).do(leg(LegEvent.MACHINE)).commands == []


def test_r13_who_accepts_too_late_is_told() -> None:
    """The second attempt goes on."""
    played = asked().do(Tick(), after=20).do(leg(LegEvent.ACCEPTED, 1))
    assert played.commands == [HangUpLeg(1, NOT_JOINED)]
    assert played.warm.stage is Stage.DIAL


def test_cancel() -> None:
    """Before anybody has accepted, it ends at once, without a word."""
    played = asked().do(Cancel())
    assert played.commands == [HangUpLeg(1), StopHold(), Finish(TransferState.CANCELED, None, None)]


@dataclass
class Watched:
    """The legs of a transfer as the world has them."""

    live: set[int] = field(default_factory=set)
    accepted: set[int] = field(default_factory=set)
    bridges: list[int] = field(default_factory=list)
    finishes: list[Finish] = field(default_factory=list)
    dialled: int = 0

    def event(self, warm: Warm, event: Event) -> None:
        if not isinstance(event, Leg) or event.attempt > self.dialled:
            return
        if event.event in (LegEvent.GONE, LegEvent.FAILED):
            self.live.discard(event.attempt)
        else:
            self.live.add(event.attempt)
        if event.event is LegEvent.ACCEPTED and warm.stage in (Stage.BRIEF, Stage.CONFIRM):
            self.accepted.add(event.attempt)

    def commands(self, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case Dial(attempt=attempt):
                    assert attempt == self.dialled + 1
                    assert not self.live, "a leg is dialled while another is live"
                    self.dialled = attempt
                    self.live.add(attempt)
                case HangUpLeg(attempt=attempt):
                    self.live.discard(attempt)
                case Bridge(attempt=attempt):
                    assert attempt in self.accepted
                    assert attempt in self.live
                    self.bridges.append(attempt)
                case Finish():
                    self.finishes.append(command)


def test_ten_thousand_orders_of_events() -> None:
    """One end, no timer and no leg left, nobody joined who did not accept, nobody joined twice."""
    luck = random.Random(20_261_126)
    ends: set[TransferState] = set()
    plans = [
        plan(
            retries=retries,
            briefing=briefing,
            detect_supervisor_voicemail=detect > 1,
            detect_supervisor_silence=detect % 2 > 0,
        )
        for retries in range(4)
        for briefing in ("", "A caller.")
        for detect in range(4)
    ]
    for _ in range(10_000):
        wanted = luck.choice(plans)
        at, watched = 0, Watched()
        warm, commands = begin(wanted, at)
        watched.commands(commands)
        for _ in range(luck.randrange(25)):
            at += luck.choice([0, 0, 0, 1, 5, 15]) * SECOND
            event = _any_event(luck, warm)
            watched.event(warm, event)
            warm, commands = advance(warm, event, at)
            watched.commands(commands)
        for _ in range(200):
            if warm.due is None:
                break
            at = max(at, warm.due)
            warm, commands = advance(warm, Tick(), at)
            watched.commands(commands)
        assert warm.stage is Stage.OVER
        assert warm.due is None
        assert watched.finishes == [warm.outcome]
        (end,) = watched.finishes
        ends.add(end.state)
        joined = {warm.attempt} if end.state is TransferState.TRANSFERRED else set[int]()
        assert watched.live <= joined
        assert joined <= watched.accepted
        assert watched.dialled <= wanted.attempts
        assert all(watched.bridges.count(attempt) <= 2 for attempt in watched.bridges)
        assert not joined or watched.bridges[-1] in joined
    assert ends == {
        TransferState.TRANSFERRED,
        TransferState.RETURNED,
        TransferState.CALLER_ABANDONED,
        TransferState.CANCELED,
    }


def _any_event(luck: random.Random, warm: Warm) -> Event:
    """Mostly of the leg that is wanted, often what moves on; some from legs given up, some of the caller."""
    if luck.random() < 0.25:
        others: list[Event] = [Tick(), Tick(), Spoken(), Spoken(), Spoken(), CallerGone(), Cancel()]
        return luck.choice(others)
    attempt = warm.attempt if luck.random() < 0.8 else luck.randint(1, max(1, warm.attempt))
    forward = [LegEvent.ANSWERED, LegEvent.HUMAN, LegEvent.BRIEFED, LegEvent.ACCEPTED, LegEvent.BRIDGED]
    return Leg(max(1, attempt), luck.choice(forward * 3 + list(LegEvent)))
