"""A lane is claimed as it stands when its row is free, not as it stood when the claim began."""

import asyncio

import asyncpg

from gateway.domain.delivery import DeliveryState
from gateway.domain.ports.store import Tx
from gateway.service.deliver import LaneClaim, claim_lane, settle_delivery
from gateway.service.lanes import release_lane
from tests.contract.conftest import movable
from tests.contract.lanes import held, said
from tests.contract.scene import LIFETIME, worker

_PATIENCE = 60.0
_WAITING = (
    "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


async def _somebody_waits(url: str) -> None:
    """Until a statement waits for a lock in this database."""
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(_PATIENCE):
            while not await connection.fetchval(_WAITING):  # noqa: ASYNC110 - only it tells
                await asyncio.sleep(0.01)
    finally:
        await connection.close()


async def test_whoever_waits_for_a_lane_gets_what_is_next_when_it_is_free(schema_url: str) -> None:
    async with movable(schema_url) as store:
        _, lane = await said(store, "first", "second")
        before = await held(store, lane)
        assert before.delivery.text == "first"
        store.advance(2 * LIFETIME)  # who has it seems to be dead
        written, commit = asyncio.Event(), asyncio.Event()

        async def settle_and_let_go(tx: Tx) -> None:
            await settle_delivery(tx, before.ref, before.delivery, DeliveryState.SANDBOXED)
            await release_lane(tx, before.ref)
            written.set()
            await commit.wait()

        another = await worker(store)
        async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as tasks:
            tasks.create_task(store.write(settle_and_let_go))
            await written.wait()
            claiming = tasks.create_task(store.write(claim_lane, lane, another))
            await _somebody_waits(schema_url)
            commit.set()
        after = claiming.result()
        assert isinstance(after, LaneClaim)
        assert after.delivery.text == "second"
        assert after.ref.fence > before.ref.fence
