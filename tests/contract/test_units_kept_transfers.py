"""Warm transfers that a call's own connection moves: kept for the next one, and only the newest may."""

from dataclasses import replace
from itertools import count

import pytest

from gateway.domain.intent import CallTransferIntent, TransferMode, resolve_transfer
from gateway.domain.ports.store import Tx
from gateway.domain.warm.held import HeldCall
from gateway.domain.warm.machine import advance, begin
from gateway.domain.warm.state import Stage, WarmPlan
from gateway.domain.warm.words import Spoken
from gateway.service.erase import request_erasure
from gateway.service.kept_transfers import StoredTransfers
from gateway.service.warm_transfers import due_transfers
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.scene import ORGANIZATION, OURS, THEIRS

_calls = count(1)


@pytest.fixture
async def held(store: Store) -> HeldCall:
    """A transfer that is about to begin."""
    call_id = f"jambonz-{next(_calls)}"
    accepted = await scene.arrive(store, scene.call("a person", call_id))
    intent, _ = resolve_transfer(CallTransferIntent(destination="+15550112001", mode=TransferMode.WARM))
    warm, _ = begin(WarmPlan.of(intent, "About a refund."), 0)
    return HeldCall(
        id=f"intent-{call_id}",
        provider="jambonz",
        call_id=call_id,
        conversation_id=accepted.conversation_id,
        sender=THEIRS,
        recipient=OURS,
        proven=True,
        n=1,
        session="s",
        destination=intent.destination,
        warm=warm,
    )


def moved(held: HeldCall) -> HeldCall:
    """A step further."""
    warm, _ = advance(held.warm, Spoken(), 0)
    return replace(held, warm=warm)


async def test_the_next_connection_finds_the_newest_state(store: Store, held: HeldCall) -> None:
    transfers = StoredTransfers(store, ORGANIZATION)
    assert await transfers.take_up("jambonz", held.call_id, "t") is None
    assert await transfers.keep(held, "s")
    assert await transfers.keep(moved(held), "s")
    found = await transfers.take_up("jambonz", held.call_id, "t")
    assert found == moved(held)
    assert found.warm.stage is Stage.DIAL
    assert await store.read(due_transfers) == []


async def test_who_was_there_before_changes_nothing_more(store: Store, held: HeldCall) -> None:
    transfers = StoredTransfers(store, ORGANIZATION)
    await transfers.keep(held, "s")
    await transfers.take_up("jambonz", held.call_id, "t")
    assert not await transfers.keep(moved(held), "s")
    assert await transfers.keep(held, "t")
    assert await transfers.take_up("jambonz", held.call_id, "u") == held


async def test_of_a_caller_who_is_erased_nothing_is_kept(store: Store, held: HeldCall) -> None:
    transfers = StoredTransfers(store, ORGANIZATION)
    row = await scene.conversation(store, held.conversation_id)
    await store.write(request_erasure, ORGANIZATION, row["end_user_id"], scene.PARTITIONS)
    assert await transfers.keep(held, "s")
    assert await transfers.take_up("jambonz", held.call_id, "t") is None


async def test_one_that_cannot_be_read_is_none(store: Store, held: HeldCall) -> None:
    """Another version has kept it: the call goes on, as if nothing of it was kept."""
    transfers = StoredTransfers(store, ORGANIZATION)
    await transfers.keep(held, "s")

    async def spoil(tx: Tx) -> None:
        await tx.run("held_keep", id=held.id, held="{}", holder="s")

    await store.write(spoil)
    assert await transfers.take_up("jambonz", held.call_id, "t") is None
    assert not await transfers.keep(held, "s")
