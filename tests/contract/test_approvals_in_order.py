"""A list of approvals is read on from its last row: what commits late has no earlier place."""

import asyncio

import pytest

from gateway.domain.ports.store import Tx
from gateway.domain.turn import Claim, Path
from gateway.service.approve import park
from gateway.service.browse import approvals_page
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import ORGANIZATION, arrive, claimed, reply, sms


@pytest.fixture
def database_url(schema_url: str) -> str:
    """SQLite has one writer, who commits in the order in which it writes."""
    return schema_url


async def begun(store: MovableStore, number: int) -> Claim:
    accepted = await arrive(store, sms("refund", sender=f"+1415555{number:04}"))
    return await claimed(store, accepted.conversation_id)


async def listed(store: MovableStore) -> list[str]:
    """The conversations with approvals, in the order of the list."""
    page = await store.read(approvals_page, ORGANIZATION, (), None, 10)
    return [row["conversation_id"] for row in page.items]


async def test_one_that_commits_late_keeps_later_ones_waiting(store: MovableStore) -> None:
    slow, fast = await begun(store, 1), await begun(store, 2)
    held = reply("one moment", path=Path.APPROVAL, approval=scene.APPROVAL)
    written, go_on = asyncio.Event(), asyncio.Event()

    async def park_slowly(tx: Tx) -> None:
        await park(tx, slow, held, (0, 1))
        written.set()
        await go_on.wait()

    first = asyncio.create_task(store.write(park_slowly))
    await written.wait()
    second = asyncio.create_task(store.write(park, fast, held, (0, 1)))
    await asyncio.wait([second], timeout=0.5)
    assert await listed(store) == []  # nothing that would come before what was seen
    go_on.set()
    await asyncio.gather(first, second)
    assert await listed(store) == [slow.conversation.id, fast.conversation.id]
