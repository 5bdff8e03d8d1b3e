"""Loops that nobody starts again go on after a fault of ours, and tell of it without what a person wrote."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.bus.embedded import EmbeddedBus
from gateway.domain.clock import Clock
from gateway.domain.envelope import Envelope, Posting
from gateway.domain.ids import new_id
from gateway.domain.ports.bus import DONE, Consumer, RetryStep, Verdict, retry
from workers.brakes import Brakes
from workers.liveness import Liveness
from workers.relay import Relay
from workers.spool import SpoolDrain
from workers.stoppable import Stoppable
from workers.webhooks import WebhookWorker

PATIENCE = 60


@dataclass
class Broken:
    """A database, or an outbox: every call is answered, but for one that a fault of ours meets."""

    fails_at: int
    answer: object = ()
    calls: int = 0
    gone_on: asyncio.Event = field(default_factory=asyncio.Event)

    def __getattr__(self, _name: str) -> Callable[..., Awaitable[object]]:
        return self._called

    async def _called(self, *_args: object, **_more: object) -> object:
        self.calls += 1
        if self.calls == self.fails_at:
            raise RuntimeError("what a person wrote")
        if self.calls > self.fails_at:
            self.gone_on.set()
        return self.answer


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    for pause in ("brakes.LOOK_SECONDS", "liveness._RETRY_SECONDS", "relay._PAUSE_SECONDS"):
        monkeypatch.setattr(f"workers.{pause}", 0.01)
    monkeypatch.setattr("workers.webhooks._PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("workers.spool._LOOK_SECONDS", 0.01)
    for pause in ("PAUSE_SECONDS", "POLL_SECONDS"):
        monkeypatch.setattr(f"gateway.bus.embedded.{pause}", 0.01)


async def went_on(broken: Any, caplog: pytest.LogCaptureFixture, action: str) -> None:
    """Wait for the call after the fault, which has been told."""
    await asyncio.wait_for(broken.gone_on.wait(), PATIENCE)
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [vars(record)["action"] for record in told] == [action]
    assert all(vars(record)["at"].startswith("_called:") for record in told)
    assert "what a person wrote" not in caplog.text


async def test_a_worker_is_renewed(caplog: pytest.LogCaptureFixture) -> None:
    broken: Any = Broken(fails_at=2)
    now = 0.0

    def later() -> float:
        nonlocal now
        now += 10
        return now

    liveness = Liveness(broken, Clock(monotonic=later), roles="turns")
    await liveness.start()
    await went_on(broken, caplog, "liveness.broken")
    await liveness.stop()


async def test_the_outbox_is_published(caplog: pytest.LogCaptureFixture) -> None:
    broken: Any = Broken(fails_at=1, answer=None)
    relay = Relay(broken, broken, broken.host_lost)
    await relay.start()
    await went_on(broken, caplog, "relay.broken")
    await relay.stop()


async def test_pauses_are_obeyed(caplog: pytest.LogCaptureFixture) -> None:
    broken: Any = Broken(fails_at=1, answer=frozenset())
    brakes = Brakes(broken)
    await brakes.start()
    with brakes.obeyed(Stoppable(PATIENCE), "agent"):
        await went_on(broken, caplog, "brakes.broken")
    await brakes.stop()


async def test_webhooks_are_sent(caplog: pytest.LogCaptureFixture) -> None:
    broken: Any = Broken(fails_at=1)
    worker = WebhookWorker(broken, broken, Clock())
    await worker.start()
    await went_on(broken, caplog, "webhooks.broken")
    await worker.stop(PATIENCE)


@dataclass
class Spooled(Broken):
    """A spool that fails once."""

    waiting: int = 0


async def test_the_spool_is_drained(caplog: pytest.LogCaptureFixture) -> None:
    broken: Any = Spooled(fails_at=1)
    drain = SpoolDrain(broken, broken)
    await drain.start()
    await went_on(broken, caplog, "spool.failed")
    await drain.stop()


@dataclass
class Table:
    """An outbox: what it has is due whenever it is asked."""

    rows: list[Posting] = field(default_factory=list)
    claims: Broken = field(default_factory=lambda: Broken(fails_at=0))
    deletes: Broken = field(default_factory=lambda: Broken(fails_at=0))
    delays: Broken = field(default_factory=lambda: Broken(fails_at=0))

    async def claim(self, _limit: int, _seconds: float) -> list[Posting]:
        await self.claims._called()
        return self.rows

    async def next_due(self) -> float | None:
        return None

    async def done(self, _rows: object) -> None:
        await self.deletes._called()

    async def postpone(self, _posting: Posting, _seconds: float) -> None:
        await self.delays._called()


def _posting() -> Posting:
    envelope = Envelope(id=new_id(), type="call.due", occurred_at="", data={})
    return Posting(envelope.id, "outbound", "sms", envelope.model_dump_json(), "", envelope=envelope)


async def _answered(_message: Envelope) -> Verdict:
    return DONE


async def test_an_embedded_outbox_is_dispatched(caplog: pytest.LogCaptureFixture) -> None:
    broken = Broken(fails_at=1)
    outbox: Any = Table(claims=broken)
    bus = EmbeddedBus(outbox, Clock(), 1)
    await bus.start([])
    await went_on(broken, caplog, "outbox_broken")
    assert await bus.check() is None
    await bus.stop()


async def test_what_an_embedded_bus_is_done_with_is_deleted(caplog: pytest.LogCaptureFixture) -> None:
    broken = Broken(fails_at=1)
    outbox: Any = Table(deletes=broken)
    bus = EmbeddedBus(outbox, Clock(), 1)
    await bus.start([Consumer("deliveries.sms", _answered)])
    bus.take([_posting()])
    await went_on(broken, caplog, "outbox_broken")
    await bus.stop()


async def _asks_again(_message: Envelope) -> Verdict:
    return retry(RetryStep.S5)


async def test_what_an_embedded_bus_could_not_postpone_is_dispatched_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = Broken(fails_at=1)
    outbox: Any = Table(rows=[_posting()], delays=broken)
    bus = EmbeddedBus(outbox, Clock(), 1)
    await bus.start([Consumer("deliveries.sms", _asks_again)])
    await went_on(broken, caplog, "outbox_broken")
    await bus.stop()
