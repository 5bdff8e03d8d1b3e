"""Whoever drives a warm transfer: what follows from an event is done, or left for whoever looks next."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from gateway.domain.clock import Clock
from gateway.domain.errors import GatewayError, Unavailable, UnknownAddress
from gateway.domain.message import Accepted, InboundMessage
from gateway.domain.outcome import TransferReason
from gateway.domain.ports.store import Tx
from gateway.domain.warm.held import CallerAsks, CallerWaits, HeldCall
from gateway.domain.warm.words import CALLER_LEFT, CallerGone, Dial, Leg, LegEvent, Spoken
from gateway.domain.warm.work import AGAIN_SECONDS
from gateway.service.close import close
from gateway.service.purge import purge
from gateway.service.warm_transfers import due_transfers
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.host_line import Core
from tests.contract.on_hold import ANN, BOB, wanted
from tests.contract.scene import ORGANIZATION, PARTITIONS
from workers.warm import WarmDriver

PATIENCE = 60.0


@dataclass
class Phones:
    """The persons' phones, and the caller's, at a provider that may be away."""

    dialled: list[str] = field(default_factory=list)
    hung_up: list[tuple[str, str | None]] = field(default_factory=list)
    recalled: list[int] = field(default_factory=list)
    away: bool = False
    answer: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether the provider has answered who asked for a call."""

    async def dial(self, held: HeldCall, dial: Dial) -> str | TransferReason | None:
        """The provider takes its time."""
        self.dialled.append(dial.destination)
        await self.answer.wait()
        return f"leg-{dial.attempt}"

    async def recall(self, held: HeldCall, told: int) -> bool:
        """The caller asks again."""
        self.recalled.append(told)
        return not self.away

    async def caller_left(self, held: HeldCall) -> bool:
        """Nothing is known of that."""
        return False

    async def hang_up(self, leg_id: str) -> bool:
        """A call ends."""
        self.hung_up.append((leg_id, None))
        return not self.away

    async def part(self, held: HeldCall, leg_id: str, text: str) -> bool:
        """A call ends with these words."""
        self.hung_up.append((leg_id, text))
        return not self.away


class Transcripts(Core):
    """Where the notes go, or are refused."""

    refuses: GatewayError | None = None

    async def __call__(self, message: InboundMessage) -> Accepted:
        """Store it."""
        if self.refuses is not None:
            raise self.refuses
        return await super().__call__(message)


class Desk:
    """A driver, and one transfer that it drives."""

    def __init__(self, store: Store) -> None:
        self.store, self.phones, self.transcripts = store, Phones(), Transcripts(store)
        self.phones.answer.set()
        self.driver = WarmDriver(store, self.transcripts, self.phones, Clock(), ORGANIZATION)
        self.id = self.conversation_id = ""

    async def begin(self) -> None:
        """The caller is on hold, and the first person is being called."""
        new = await wanted(self.store)
        self.id, self.conversation_id = new.id, new.conversation_id
        await self.driver.begin(new)
        await self.driver.happened(self.id, Spoken())

    async def leg(self, *events: LegEvent, attempt: int = 1) -> None:
        """A person's leg reports."""
        for event in events:
            await self.driver.happened(self.id, Leg(attempt, event), f"leg-{attempt}")

    async def rest(self) -> None:
        """All that was begun has been done."""
        async with asyncio.timeout(PATIENCE):
            await self.driver.close()

    async def look(self) -> None:
        """A timer looks, a while later."""
        self.store.advance(AGAIN_SECONDS)
        await self.driver.look()
        await self.rest()

    async def due(self) -> Sequence[str]:
        """What a timer would find later."""
        self.store.advance(AGAIN_SECONDS)
        return await self.store.read(due_transfers)

    async def notes(self) -> list[str]:
        """What the transcript has of what happened."""
        rows = await scene.rows(self.store, "test_messages", id=self.conversation_id)
        return [row["content"] for row in rows if row["role"] == "system_event"]


@pytest.fixture
async def desk(store: Store) -> Desk:
    """One whose transfer has begun."""
    desk = Desk(store)
    await desk.begin()
    await desk.rest()
    return desk


async def test_a_leg_is_hung_up_on_as_soon_as_it_has_a_name(store: Store) -> None:
    """The caller leaves while the provider is still being asked for the call."""
    desk = Desk(store)
    desk.phones.answer.clear()
    await desk.begin()
    await desk.driver.happened(desk.id, CallerGone())
    assert desk.phones.hung_up == []
    desk.phones.answer.set()
    await desk.rest()
    assert desk.phones.dialled == [ANN]
    assert desk.phones.hung_up == [("leg-1", None)]
    assert await desk.due() == []


async def test_what_could_not_be_hung_up_on_is_hung_up_on_later(desk: Desk) -> None:
    await desk.leg(LegEvent.ANSWERED)
    desk.phones.away = True
    await desk.driver.happened(desk.id, CallerGone())
    await desk.rest()
    desk.phones.away = False
    await desk.look()
    assert desk.phones.hung_up == [("leg-1", CALLER_LEFT)] * 2
    assert await desk.due() == []


async def test_a_caller_who_waits_for_nobody_is_called_back_until_they_are(desk: Desk) -> None:
    """And meanwhile the next person is called."""
    await desk.leg(LegEvent.ANSWERED, LegEvent.BRIEFED, LegEvent.ACCEPTED)
    await desk.driver.happened(desk.id, CallerWaits())
    desk.phones.away = True
    await desk.leg(LegEvent.GONE)
    await desk.rest()
    desk.phones.away = False
    await desk.look()
    await desk.look()
    assert desk.phones.recalled == [1, 1]
    assert desk.phones.dialled == [ANN, BOB]


async def test_a_caller_who_has_asked_is_called_back_no_more(desk: Desk) -> None:
    """Whoever called them back did not learn that it was done: they talk to the agent by now."""
    await desk.leg(LegEvent.ANSWERED, LegEvent.BRIEFED, LegEvent.ACCEPTED)
    await desk.driver.happened(desk.id, CallerWaits())
    desk.phones.away = True
    await desk.leg(LegEvent.GONE)
    await desk.rest()
    await desk.driver.happened(desk.id, CallerAsks())
    await desk.look()
    assert desk.phones.recalled == [1]


async def test_the_caller_is_called_back_while_the_transcript_cannot_be_told(desk: Desk) -> None:
    await desk.leg(LegEvent.ANSWERED, LegEvent.BRIEFED, LegEvent.ACCEPTED)
    await desk.driver.happened(desk.id, CallerWaits())
    desk.transcripts.refuses = Unavailable("away")
    await desk.leg(LegEvent.GONE)
    await desk.rest()
    assert desk.phones.recalled == [1]
    told = await desk.notes()
    desk.transcripts.refuses = None
    await desk.look()
    assert len(await desk.notes()) == len(told) + 1


async def test_notes_for_a_number_that_is_no_more_ours_are_given_up_at_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """The configuration has changed during the call: nobody tries again and again for what never can be."""
    desk.transcripts.refuses = UnknownAddress("voice")
    with caplog.at_level(logging.WARNING, "workers.warm"):
        await desk.driver.happened(desk.id, CallerGone())
        await desk.rest()
        assert await desk.due() == []
        await desk.look()
    assert [record.__dict__["action"] for record in caplog.records] == ["transfer.unnoted"]
    assert desk.phones.hung_up == [("leg-1", None)]


@pytest.mark.parametrize(("event", "ends"), [(LegEvent.RINGING, 1), (LegEvent.GONE, 0)])
async def test_a_leg_whose_conversation_was_deleted_is_hung_up_on(
    desk: Desk, event: LegEvent, ends: int
) -> None:
    await desk.store.write(close, ORGANIZATION, desk.conversation_id, "done", PARTITIONS)
    await purge(desk.store, ORGANIZATION, desk.conversation_id)
    await desk.leg(event)
    await desk.rest()
    assert desk.phones.hung_up == [("leg-1", None)] * ends


async def test_one_that_cannot_be_read_is_looked_at_once_and_said_to_be_lost(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """A version after this one has kept it."""

    async def spoil(tx: Tx) -> None:
        await tx.run("held_save", id=desk.id, held="{}", due_at=0)

    await desk.store.write(spoil)
    with caplog.at_level(logging.ERROR):
        await desk.look()
        await desk.look()
    lost = [record for record in caplog.records if vars(record).get("action") == "transfer.lost"]
    assert [(record.name, vars(record)["transfer_id"]) for record in lost] == [("workers.warm", desk.id)]
    assert await desk.due() == []
