"""The people whom the transfers of a fake host call: each does at once what they are there for."""

from collections.abc import Callable, Sequence
from enum import StrEnum

from gateway.domain.outcome import TransferReason
from gateway.domain.warm.machine import advance, begin
from gateway.domain.warm.state import Stage, Warm, WarmPlan
from gateway.domain.warm.words import (
    Bridge,
    Command,
    Dial,
    Event,
    Leg,
    LegEvent,
    SayToCaller,
    SayToLeg,
    Spoken,
)


class Person(StrEnum):
    """What somebody does who is called."""

    NO_ANSWER = "no_answer"
    DECLINES = "declines"
    """Once they have been briefed."""
    ACCEPTS = "accepts"


class People:
    """One after the other; when there are no more, nobody answers."""

    def __init__(self, persons: Sequence[Person]) -> None:
        self.called: list[str] = []
        """The destinations, each as often as it was called."""
        self.briefings: list[str] = []
        """What those were told who answered."""
        self._persons = list(persons)

    def play(
        self, plan: WarmPlan, now: int, say: Callable[[str], None], moved: Callable[[Warm], None]
    ) -> Warm:
        """A warm transfer from beginning to end, by the domain's machine.

        `say` is told what the caller hears on hold, `moved` every new stage.
        """
        stage: tuple[Stage, int] | None = None
        step = begin(plan, now)
        coming: list[Event] = []
        while True:
            warm, commands = step
            if (warm.stage, warm.attempt) != stage and warm.stage is not Stage.OVER:
                stage = (warm.stage, warm.attempt)
                moved(warm)
            for command in commands:
                coming += self._do(command, say)
            if not coming:
                return warm
            step = advance(warm, coming.pop(0), now)

    def _do(self, command: Command, say: Callable[[str], None]) -> list[Event]:
        """What follows a command at once."""
        match command:
            case SayToCaller(text=text):
                say(text)
                return [Spoken()]
            case Dial(attempt=attempt, destination=destination):
                self.called.append(destination)
                if not self._persons or self._persons[0] is Person.NO_ANSWER:
                    self._persons = self._persons[1:]
                    return [Leg(attempt, LegEvent.FAILED, TransferReason.NO_ANSWER)]
                return [Leg(attempt, LegEvent.ANSWERED), Leg(attempt, LegEvent.HUMAN)]
            case SayToLeg(attempt=attempt, text=text, briefing=True):
                self.briefings.append(text)
                return [Leg(attempt, LegEvent.BRIEFED)]
            case SayToLeg(attempt=attempt, asks=True):
                accepts = self._persons.pop(0) is Person.ACCEPTS
                return [Leg(attempt, LegEvent.ACCEPTED if accepts else LegEvent.DECLINED)]
            case Bridge(attempt=attempt):
                return [Leg(attempt, LegEvent.BRIDGED)]
            case _:
                return []
