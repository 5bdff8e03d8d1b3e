"""A cap that is reached while somebody looks whether it is over stays in force."""

import asyncio
from typing import Any, cast

import pytest

from gateway.domain.ports.store import Tx
from gateway.domain.usage import Cap
from gateway.service.usage import apply_caps, today
from tests.contract.conftest import MovableStore
from tests.contract.scene import ORGANIZATION, PARTITIONS, arrive, claimed, sms
from tests.contract.test_units_usage import capped, turn_finished


@pytest.fixture
def database_url(schema_url: str) -> str:
    """SQLite has one writer: nobody looks while something is counted."""
    return schema_url


class Held:
    """A unit's Tx that waits before it lifts a cap."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self.looked, self.go_on = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    async def run(self, query: str, /, **params: Any) -> int:
        if query == "cap_lift":
            self.looked.set()
            await self.go_on.wait()
        return await self._tx.run(query, **params)


async def test_a_cap_that_is_reached_during_a_look_stays(store: MovableStore) -> None:
    meter = capped(spend=0.015)
    claims = []
    for number in range(2):
        accepted = await arrive(store, sms("one", sender=f"+1415555{number:04}"))
        claims.append(await claimed(store, accepted.conversation_id))
    await turn_finished(store, claims[0], meter, (5000, 0))
    looking, held = asyncio.Event(), []

    async def look(tx: Tx) -> None:
        held.append(Held(tx))
        looking.set()
        await apply_caps(cast(Tx, held[-1]), meter.caps, PARTITIONS)

    looked = asyncio.create_task(store.write(look))
    await looking.wait()
    await held[-1].looked.wait()
    finished = asyncio.create_task(turn_finished(store, claims[1], meter, (5000, 0)))
    await asyncio.wait([finished], timeout=0.5)
    held[-1].go_on.set()
    await asyncio.gather(looked, finished)
    assert (await store.read(today, ORGANIZATION)).reached == (Cap.SPEND,)
