"""A warm transfer over jambonz: the domain's machine, and `dial` with a `confirmHook` as its hands. No I/O.

The person is briefed and asked by the verbs of that hook, before jambonz joins the two. It fails open: who is
still there when these verbs have ended is joined. So they end with a `hangup`, which only an acceptance takes
away. The caller is inside the `dial` meanwhile and can be told nothing. Source: place-outdial.js, and
@jambonz/schema.
"""

from dataclasses import dataclass, replace

from channels.voice.destination import destination_kind
from channels.voice.host.outcomes import Outcome
from channels.voice.jambonz.listening import deaf
from channels.voice.jambonz.messages import (
    ANSWER_HOOK,
    CONFIRM_HOOK,
    DIALED_HOOK,
    SCREENED_HOOK,
    Dialed,
    Gathered,
    Place,
    Screened,
)
from channels.voice.jambonz.transfer import Transfer, dialed, target
from channels.voice.jambonz.verbs import Amd, Config, Dial, Gather, Hangup, Prompt, Say, Verb, said
from gateway.domain.call_rules import CallRules
from gateway.domain.clock import SECOND
from gateway.domain.outcome import TransferReason, TransferState
from gateway.domain.warm.machine import advance, begin
from gateway.domain.warm.state import Stage, Step, Timer, Warm, WarmPlan
from gateway.domain.warm.words import (
    CallerGone,
    Cancel,
    Event,
    Finish,
    Leg,
    LegEvent,
    SayToCaller,
    Spoken,
    Tick,
)
from gateway.domain.warm.words import Dial as Call

ACCEPT_KEY, DECLINE_KEY = "1", "2"
BRIEFING, ASKING, REMINDING = 1, 2, 3
"""Steps of what a person hears."""
BRIEFED_SECONDS = 1.0
"""For a key after the briefing, before the question."""
SPARE_SECONDS = 2
"""More than the machine waits, so that it says why an attempt has ended."""
JOINS = (Config(notify_events=True),)
"""An answer that changes nothing but to take the `hangup` away."""
_SCREENED = {"amd_human_detected": LegEvent.HUMAN, "amd_machine_detected": LegEvent.MACHINE}


@dataclass(frozen=True, slots=True)
class Follows:
    """What an event leads to."""

    verbs: tuple[Verb, ...] = ()
    """For the caller, in the place of what runs."""
    finish: Finish | None = None


class JambonzWarm:
    """One warm transfer of one caller."""

    def __init__(self, transfer: Transfer, briefing: str, rules: CallRules, warm: Warm | None = None) -> None:
        """`warm`: as it stood when another connection had it."""
        self._transfer = transfer
        plan = WarmPlan.of(transfer.intent, briefing, rules.texts.persons) if warm is None else warm.plan
        self._plan = plan
        self._pace = rules.pace.characters_per_second
        self._music = rules.hold_music
        self._warm = warm

    @property
    def state(self) -> Warm | None:
        """As it stands; None before it has begun."""
        return self._warm

    @property
    def due(self) -> int | None:
        """When `tick` has something to do, in microseconds."""
        return None if self._warm is None else self._warm.due

    @property
    def attempt(self) -> int:
        """The attempt that is under way, or was the last."""
        return 0 if self._warm is None else self._warm.attempt

    @property
    def accepted(self) -> bool:
        """Whether the person has accepted, and jambonz is to join the two."""
        return self._warm is not None and self._warm.stage is Stage.COMMIT

    @property
    def joined(self) -> bool:
        """Whether jambonz has been told to, and it has ended with that."""
        outcome = None if self._warm is None else self._warm.outcome
        return outcome is not None and outcome.state is TransferState.TRANSFERRED

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._warm is not None and self._warm.outcome is not None

    def announce(self, at: int) -> None:
        """It is about to begin, and nothing is timed yet: whoever takes it up begins it."""
        self._warm = replace(begin(self._plan, at)[0], stage=Stage.ANNOUNCE, attempt=0, timers={})

    @property
    def told(self) -> bool:
        """Whether jambonz was to call somebody without asking them, or was about to be told."""
        warm = self._warm
        asks = self._transfer.warm and warm is not None and warm.outcome is None
        return warm is not None and warm.stage is Stage.DIAL and not asks

    def tell(self, attempt: int, until: int) -> None:
        """jambonz is about to be told that; `until`, in microseconds: its end is known by then."""
        if self._warm is not None:
            timers = {Timer.STAGE: until}
            self._warm = replace(self._warm, stage=Stage.DIAL, attempt=attempt, timers=timers)

    def begin(self, at: int) -> Follows:
        """The caller is told, and the first person called."""
        return self._follow(begin(self._plan, at), at)

    def tick(self, at: int) -> Follows:
        """Time has passed."""
        return self._happened(Tick(), at)

    def cancel(self, at: int) -> Follows:
        """The gateway wants it no more; who has accepted is joined all the same."""
        return self._happened(Cancel(), at)

    def caller_gone(self, at: int) -> Follows:
        """The caller hung up."""
        return self._happened(CallerGone(), at)

    def answered(self, attempt: int, at: int) -> tuple[Follows, tuple[Verb, ...]]:
        """Somebody has taken the call: what they hear, while a machine may yet be recognised."""
        if attempt != self.attempt or self.over or self.accepted:
            return Follows(), (Hangup(),)
        follows = self._leg(attempt, LegEvent.ANSWERED, at)
        if self._warm is not None and self._warm.stage is Stage.SCREEN:
            follows = self._leg(attempt, LegEvent.HUMAN, at)
        return follows, self._confirming(attempt)

    def pressed(self, place: Place, gathered: Gathered, at: int) -> Follows:
        """The person has pressed a key, or none."""
        key = gathered.digits
        if self._warm is not None and self._warm.stage is Stage.DIAL:
            self.answered(place.attempt, at)  # they are asked, so they have: another connection was told
        if key == ACCEPT_KEY:
            return self._leg(place.attempt, LegEvent.ACCEPTED, at)
        if key == DECLINE_KEY or (key and place.step != BRIEFING):
            return self._leg(place.attempt, LegEvent.DECLINED, at)
        if not key and place.step == BRIEFING:
            return self._leg(place.attempt, LegEvent.BRIEFED, at)
        return self._leg(place.attempt, LegEvent.HEARD, at) if key else Follows()

    def bridged(self, at: int) -> Follows:
        """jambonz has been told to join the two."""
        return self._leg(self.attempt, LegEvent.BRIDGED, at)

    def screened(self, place: Place, data: Screened, at: int) -> Follows:
        """Whether a machine has answered."""
        event = _SCREENED.get(data.type)
        return Follows() if event is None else self._leg(place.attempt, event, at)

    def dialed(self, place: Place, data: Dialed, at: int) -> Follows:
        """The dial of an attempt has ended before the two were joined."""
        outcome = dialed(data)
        event = LegEvent.GONE if outcome.state.proven else LegEvent.FAILED
        return self._happened(Leg(place.attempt, event, outcome.reason), at)

    def outcome(self, finish: Finish) -> Outcome:
        """How it has ended, in the contract's words."""
        warm = self._warm
        attempt = warm.attempt if warm is not None else 0
        return Outcome(
            finish.state,
            finish.reason,
            method="bridge",
            attempt=attempt or None,
            destination_index=warm.destination_index if warm is not None and attempt else None,
        )

    def _leg(self, attempt: int, event: LegEvent, at: int) -> Follows:
        return self._happened(Leg(attempt, event), at)

    def _happened(self, event: Event, at: int) -> Follows:
        return Follows() if self._warm is None else self._follow(advance(self._warm, event, at), at)

    def _follow(self, step: Step, at: int) -> Follows:
        self._warm, commands = step
        said_first = [command.text for command in commands if isinstance(command, SayToCaller)]
        finish = next((command for command in commands if isinstance(command, Finish)), None)
        if finish is not None:
            return Follows(finish=finish)
        call = next((command for command in commands if isinstance(command, Call)), None)
        if call is None and said_first:
            # before the first call it is spoken on the way to it; later nobody can speak to the caller
            announced = self._warm.stage is Stage.ANNOUNCE
            return self._after(tuple(said_first) if announced else (), self._happened(Spoken(), at))
        if call is None:
            return Follows()
        return self._after(tuple(said_first), self._call(call, at))

    def _call(self, call: Call, at: int) -> Follows:
        if destination_kind(call.destination) is None:
            failed = Leg(call.attempt, LegEvent.FAILED, TransferReason.INVALID_DESTINATION)
            return self._happened(failed, at)
        place = replace(self._transfer, attempt=call.attempt)
        screened = Amd(action_hook=place.place(SCREENED_HOOK).url) if call.screen else None
        dial = Dial(
            target=(target(call.destination),),
            action_hook=place.place(DIALED_HOOK).url,
            confirm_hook=place.place(CONFIRM_HOOK).url,
            dial_music=self._music,
            timeout=call.timeout_seconds,
            amd=screened,
        )
        return Follows((deaf(), dial))

    def _after(self, texts: tuple[str, ...], follows: Follows) -> Follows:
        """These are said first, and what is timed begins after them."""
        text = " ".join(texts)
        if self._warm is None or not text or not follows.verbs:
            return follows
        later = int(len(text) / self._pace * SECOND)
        timers = dict(self._warm.timers)
        if Timer.STAGE in timers:
            timers[Timer.STAGE] += later
        self._warm = replace(self._warm, timers=timers)
        deafness, *rest = follows.verbs
        return Follows((deafness, Say(text=said(text)), *rest))

    def _confirming(self, attempt: int) -> tuple[Verb, ...]:
        settings, place = self._plan.settings, replace(self._transfer, attempt=attempt)

        def ask(step: int, text: str, seconds: float) -> Gather:
            return Gather(
                action_hook=place.place(ANSWER_HOOK, step).url,
                input=("digits",),
                max_digits=1,
                timeout=seconds,
                say=Prompt(text=said(text)),
            )

        last = settings.bridge_confirm_seconds + SPARE_SECONDS
        verbs: list[Verb] = []
        if self._plan.briefing:
            verbs.append(ask(BRIEFING, self._plan.briefing, BRIEFED_SECONDS))
        silence = settings.silence_timeout_seconds if settings.detect_supervisor_silence else None
        verbs.append(ask(ASKING, self._plan.persons.confirm, last if silence is None else silence))
        if silence is not None:
            verbs.append(ask(REMINDING, settings.silence_reminder_text, last))
        return (*verbs, Hangup())


ABANDONED = Outcome(TransferState.CALLER_ABANDONED)
CANCELED = Outcome(TransferState.CANCELED)
