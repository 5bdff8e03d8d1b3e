"""A turn worker and a delivery worker on one store, with an agent and a provider that the test directs."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

from gateway.bus.streams import LocalReplies, NoHosts
from gateway.domain.agent import Delta, TurnRequest
from gateway.domain.call_rules import CallRules
from gateway.domain.clock import Clock
from gateway.domain.delivery import Delivery, OutcomeUnknown, Part, PartText, SendOutcome, Taken
from gateway.domain.envelope import Envelope
from gateway.domain.errors import Unavailable
from gateway.domain.message import Channel
from gateway.domain.ports.store import Tx
from gateway.domain.send_rules import SendRules
from gateway.domain.served_agent import ServedAgent
from gateway.domain.transfers import Transfers
from gateway.domain.turn_rules import NO_RULES
from gateway.service.reply_files import ReplyFiles
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import postings
from workers.audience import Audience
from workers.brakes import Brakes
from workers.deliveries import DeliveryWorker
from workers.liveness import Liveness
from workers.turns import TurnLimits, TurnWorker

P = ParamSpec("P")
T = TypeVar("T")


class Noted(MovableStore):
    """The store, and which units were run on it."""

    def __init__(self, store: MovableStore) -> None:
        self._noted = store
        self.units: list[str] = []
        self.away_at: str | None = None
        self.lost_at: str | None = None

    async def write(
        self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Note it, and run it; once, at the unit that the test says, the database is away.

        Or (`lost_at`) it goes away with the answer to the commit.
        """
        self.units.append(getattr(unit, "__name__", ""))
        if self.units[-1] == self.away_at:
            self.away_at = None
            raise Unavailable("the database is away")
        answer = await self._noted.write(unit, *args, **kwargs)
        if self.units[-1] == self.lost_at:
            self.lost_at = None
            raise Unavailable("the database is away", outcome_unknown=True)
        return answer

    async def read(
        self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Note it, and run it."""
        self.units.append(getattr(unit, "__name__", ""))
        return await self._noted.read(unit, *args, **kwargs)

    def advance(self, seconds: float) -> None:
        """As the store's."""
        self._noted.advance(seconds)


@dataclass
class Agent:
    """Says how many messages it answers; what the test wants to happen meanwhile happens."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def answer(self, turn: TurnRequest) -> AsyncIterator[Delta]:
        """One text."""
        happening, self.meanwhile = self.meanwhile, None
        if happening is not None:
            await happening()
        yield Delta(text=f"{len(turn.input)} of them")


@dataclass
class Provider:
    """It takes every text."""

    provider: str = "twilio"
    sent: list[str] = field(default_factory=list)
    meanwhile: Callable[[], Awaitable[None]] | None = None

    def split(self, delivery: Delivery) -> Sequence[PartText]:
        """One part."""
        return [PartText(delivery.text)]

    async def send(self, delivery: Delivery, part: Part, timeout: float) -> SendOutcome:
        """Note it."""
        happening, self.meanwhile = self.meanwhile, None
        if happening is not None:
            await happening()
        self.sent.append(part.text)
        return Taken(f"SM{len(self.sent)}")

    async def find(self, delivery: Delivery, part: Part) -> Taken | OutcomeUnknown | None:
        """Nothing has to be looked for."""
        raise AssertionError(part)


@dataclass
class House:
    """Both workers on one store."""

    store: Noted
    agent: Agent
    provider: Provider
    turns: TurnWorker
    deliveries: DeliveryWorker
    liveness: Liveness

    @property
    def worker_id(self) -> str:
        """Of both."""
        return self.liveness.worker_id

    def doubt(self) -> None:
        """The row of the workers has not been renewed for too long."""
        self.liveness._believed_from = float("-inf")

    async def bells(self, kind: str) -> list[Envelope]:
        """What has been posted of a type, the oldest first."""
        bodies = sorted(
            (b for _, _, b in await postings(self.store) if b["type"] == kind), key=lambda b: b["id"]
        )
        return [Envelope.model_validate(body) for body in bodies]


@asynccontextmanager
async def opened(store: MovableStore) -> AsyncIterator[House]:
    """Nothing has happened yet."""
    # its watch stands, so that a busy machine takes no lease away
    noted, clock, agent, provider = Noted(store), Clock(monotonic=lambda: 0.0), Agent(), Provider()
    liveness = Liveness(store, clock, roles="turns deliveries")
    await liveness.start()

    async def served(_: object) -> ServedAgent:
        return ServedAgent(agent, Transfers())

    async def keep(*_: object, **__: object) -> None:
        raise AssertionError("no reply has files")

    limits = TurnLimits(600.0, scene.PARTITIONS, ReplyFiles(keep, ""), lambda _: NO_RULES)  # type: ignore[arg-type]
    audience = Audience(noted, (LocalReplies(), NoHosts()), clock, lambda _: CallRules())
    turns = TurnWorker(noted, audience, served, liveness, Brakes(noted), limits)

    def sender_of(_channel: Channel, _ours: str) -> Provider:
        return provider

    deliveries = DeliveryWorker(noted, sender_of, liveness, lambda _channel, _ours: SendRules())
    yield House(noted, agent, provider, turns, deliveries, liveness)
    await liveness.stop()
