"""Loops that nobody starts again go on after a fault of ours, and tell of it without what a person wrote."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.domain.clock import Clock
from workers.brakes import Brakes
from workers.liveness import Liveness
from workers.relay import Relay
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
