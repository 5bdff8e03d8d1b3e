"""A warm transfer as it stands: what was asked for, its stage, its timers. Kept as JSON between events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import TypeAdapter

from gateway.domain.intent import CallTransferIntent, OnFailure, WarmTransfer
from gateway.domain.warm.words import ENGLISH, Command, Finish, PersonTexts


class Stage(StrEnum):
    """Where a warm transfer stands."""

    ANNOUNCE = "announce"
    DIAL = "dial"
    SCREEN = "screen"
    BRIEF = "brief"
    CONFIRM = "confirm"
    COMMIT = "commit"
    """The person has accepted; from here on only the bridge itself, or the caller's end, decides."""
    OVER = "over"


class Timer(StrEnum):
    """What a stage waits for at most."""

    HOLD = "hold"
    """Of all attempts together, from the first word on."""
    REASSURE = "reassure"
    STAGE = "stage"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmPlan:
    """What a transfer was asked to do, resolved."""

    destinations: tuple[str, ...]
    attempts: int
    connecting_text: str
    retry_text: str
    briefing: str
    """"" for none."""
    on_failure: OnFailure
    settings: WarmTransfer
    persons: PersonTexts = ENGLISH

    @classmethod
    def of(cls, intent: CallTransferIntent, briefing: str, persons: PersonTexts = ENGLISH) -> "WarmPlan":
        """The plan of a resolved intent, and the text that the person is briefed with."""
        settings = intent.warm or WarmTransfer()
        return cls(
            destinations=tuple(intent.warm_destinations) or (intent.destination,),
            attempts=1 + intent.max_retries,
            connecting_text=intent.connecting_text or "",
            retry_text=intent.retry_text or settings.retry_announcement_text,
            briefing=briefing,
            on_failure=intent.failure_action,
            settings=settings,
            persons=persons,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """A transfer as it stands."""

    plan: WarmPlan
    hold_until: int
    """Microseconds; when the hold has lasted as long as it may."""
    stage: Stage = Stage.ANNOUNCE
    attempt: int = 0
    timers: Mapping[Timer, int] = field(default_factory=dict)
    """When each fires, in microseconds; none when it is over."""
    answered: bool = False
    """Whether a person, or a machine, is on the leg of this attempt."""
    speaking: bool = True
    """Whether the caller is being told something."""
    reminded: bool = False
    retried_bridge: bool = False
    canceled: bool = False
    """The gateway wanted it no more when it could not be stopped: counts if the bridge fails."""
    outcome: Finish | None = None

    @property
    def due(self) -> int | None:
        """When `Tick` has something to do; None where nothing is waited for."""
        return min(self.timers.values(), default=None)

    @property
    def destination_index(self) -> int:
        """Which of the plan's destinations this attempt calls."""
        return max(0, self.attempt - 1) % len(self.plan.destinations)


Step = tuple[Warm, tuple[Command, ...]]
"""A transfer as it stands after an event, and what its host has to do."""

_STORED: TypeAdapter[Warm] = TypeAdapter(Warm)


def stored(warm: Warm) -> str:
    """As JSON."""
    return _STORED.dump_json(warm).decode()


def restored(text: str) -> Warm:
    """The transfer of a `stored` text."""
    return _STORED.validate_json(text)
