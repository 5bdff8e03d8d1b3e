"""Bells for what their worker has seen to already: they ask nothing of the database, and lose nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

import pytest

from gateway.bus.streams import LocalReplies, NoHosts
from gateway.domain.agent import Delta, TurnRequest
from gateway.domain.call_rules import CallRules
from gateway.domain.clock import Clock
from gateway.domain.delivery import Delivery, OutcomeUnknown, Part, PartText, SendOutcome, Taken
from gateway.domain.envelope import Envelope
from gateway.domain.errors import Unavailable
from gateway.domain.message import Channel
from gateway.domain.ports.bus import DONE
from gateway.domain.ports.store import Tx
from gateway.domain.send_rules import SendRules
from gateway.domain.served_agent import ServedAgent
from gateway.domain.transfers import Transfers
from gateway.domain.turn_rules import NO_RULES
from gateway.service.reply_files import ReplyFiles
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import arrive, postings, sms
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

    async def write(
        self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Note it, and run it; once, at the unit that the test says, the database is away."""
        self.units.append(getattr(unit, "__name__", ""))
        if self.units[-1] == self.away_at:
            self.away_at = None
            raise Unavailable("the database is away")
        return await self._noted.write(unit, *args, **kwargs)

    async def read(
        self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Note it, and run it."""
        self.units.append(getattr(unit, "__name__", ""))
        return await self._noted.read(unit, *args, **kwargs)


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

    async def bells(self, kind: str) -> list[Envelope]:
        """What has been posted of a type, the oldest first."""
        bodies = sorted(
            (b for _, _, b in await postings(self.store) if b["type"] == kind), key=lambda b: b["id"]
        )
        return [Envelope.model_validate(body) for body in bodies]


@pytest.fixture
async def house(store: MovableStore) -> AsyncIterator[House]:
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
    yield House(noted, agent, provider, turns, deliveries)
    await liveness.stop()


async def test_the_bell_of_input_that_joined_a_turn_asks_nothing(house: House) -> None:
    for text in ("one", "two", "three"):
        await arrive(house.store, sms(text))
    first, *others = await house.bells("message.inbound")
    assert await house.turns.consume(first) == DONE
    house.store.units.clear()
    for bell in (*others, first):
        assert await house.turns.consume(bell) == DONE
    assert house.store.units == []
    (reply,) = await house.bells("message.outbound")
    assert reply.data["text"] == "3 of them"


async def test_what_arrives_while_the_agent_answers_is_answered_and_looked_for_once(house: House) -> None:
    async def another() -> None:
        await arrive(house.store, sms("two"))
        assert await house.turns.consume((await house.bells("message.inbound"))[-1]) == DONE

    house.agent.meanwhile = another
    await arrive(house.store, sms("one"))
    (first,) = await house.bells("message.inbound")
    house.store.units.clear()
    assert await house.turns.consume(first) == DONE
    assert [r.data["text"] for r in await house.bells("message.outbound")] == ["1 of them"] * 2
    assert [name for name in house.store.units if name in ("claim_turn", "next_turn", "finish_turn")] == [
        "claim_turn",
        "finish_turn",
        "next_turn",
        "finish_turn",
    ]


async def test_a_bell_without_input_of_its_own_is_always_answered(house: House) -> None:
    accepted = await arrive(house.store, sms("one"))
    (first,) = await house.bells("message.inbound")
    assert await house.turns.consume(first) == DONE
    await arrive(house.store, sms("two"))
    due = first.model_copy(update={"type": "turn.due", "data": {}})
    assert due.conversation_id == accepted.conversation_id
    assert await house.turns.consume(due) == DONE
    assert len(await house.bells("message.outbound")) == 2


async def test_the_bell_of_a_reply_that_left_with_another_asks_nothing(house: House) -> None:
    for text in ("one", "two"):
        await arrive(house.store, sms(text))
        assert await house.turns.consume((await house.bells("message.inbound"))[-1]) == DONE
    first, second = await house.bells("message.outbound")
    assert await house.deliveries.consume(first) == DONE
    assert len(house.provider.sent) == 2
    house.store.units.clear()
    assert await house.deliveries.consume(second) == DONE
    assert await house.deliveries.consume(first) == DONE
    assert house.store.units == []
    assert len(house.provider.sent) == 2


async def test_a_bell_that_comes_again_after_its_own_input_was_answered_answers_the_others(
    house: House,
) -> None:
    """The other bell is gone, and the lease still held: no timer would ring."""

    async def another() -> None:
        await arrive(house.store, sms("two"))
        assert await house.turns.consume((await house.bells("message.inbound"))[-1]) == DONE

    house.agent.meanwhile = another
    await arrive(house.store, sms("one"))
    (first,) = await house.bells("message.inbound")
    house.store.away_at = "next_turn"
    with pytest.raises(Unavailable):
        await house.turns.consume(first)
    assert len(await house.bells("message.outbound")) == 1
    assert await house.turns.consume(first) == DONE
    assert len(await house.bells("message.outbound")) == 2


async def test_a_bell_that_comes_again_after_its_own_reply_has_left_sends_the_others(house: House) -> None:
    for text in ("one", "two"):
        await arrive(house.store, sms(text))
        assert await house.turns.consume((await house.bells("message.inbound"))[-1]) == DONE
    first, second = await house.bells("message.outbound")

    async def rings() -> None:
        assert await house.deliveries.consume(second) == DONE
        house.store.away_at = "claim_part"

    house.provider.meanwhile = rings
    with pytest.raises(Unavailable):
        await house.deliveries.consume(first)
    assert len(house.provider.sent) == 1
    assert await house.deliveries.consume(first) == DONE
    assert len(house.provider.sent) == 2
