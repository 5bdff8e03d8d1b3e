"""A worker's life: renewed in time also where its process was busy with something else."""

from pathlib import Path

from gateway.domain.clock import Clock
from gateway.domain.ports.store import Tx
from gateway.store.engine import open_store
from gateway.store.migrate import migrate
from workers.liveness import TRUST_SECONDS, Liveness


async def nothing(tx: Tx) -> None:
    """A write that is worked off behind those before it."""


async def test_a_start_that_took_long_is_made_up_for_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"
    await migrate(url)
    now = 100.0
    async with open_store(url, Clock(), pool_size=2) as store:
        liveness = Liveness(store, Clock(monotonic=lambda: now), roles="turns")
        await liveness.start()
        now += TRUST_SECONDS - 1  # the loop was busy before the renewals had begun
        for _ in range(5):
            await store.write(nothing)
        now += TRUST_SECONDS - 1
        assert liveness.alive()
        await liveness.stop()
