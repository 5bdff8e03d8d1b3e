"""How far an agent came is kept for the next attempt, by whoever holds the lease, and no longer than that."""

import pytest

from gateway.domain.errors import Fenced
from gateway.domain.message import SenderAuth
from gateway.domain.steps import Digest
from gateway.domain.summary import Summary
from gateway.domain.turn import Path
from gateway.service.approve import Decision, Resolution, resolve_approval
from gateway.service.close import close
from gateway.service.closings import claim_closings, finish_closing, transcript_of
from gateway.service.progress import keep_progress
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import ORGANIZATION, PARTITIONS, answer, arrive, claimed, mail, rows


async def test_the_next_attempt_is_given_it_and_an_old_owner_keeps_nothing(store: MovableStore) -> None:
    accepted = await arrive(store)
    first = await claimed(store, accepted.conversation_id)
    assert first.request.state is None
    await store.write(keep_progress, first, {"step": 1, "text": "é"})
    await store.write(keep_progress, first, {"step": 2})
    store.advance(scene.LIFETIME + 1)
    again = await claimed(store, accepted.conversation_id)
    assert again.request.state == {"step": 2}
    assert "step" not in again.request.model_dump_json()
    with pytest.raises(Fenced):
        await store.write(keep_progress, first, {"step": 3})
    await store.write(keep_progress, again, {"step": 3})
    await answer(store, again)
    with pytest.raises(Fenced):
        await store.write(keep_progress, again, {"step": 4})
    (turn,) = await rows(store, "test_turns", id=accepted.conversation_id)
    assert turn["agent_state"] is None


async def test_a_parked_turn_goes_on_from_where_it_was(store: MovableStore) -> None:
    accepted = await arrive(store)
    claim = await claimed(store, accepted.conversation_id)
    await store.write(keep_progress, claim, {"asked": "call-1"})
    await answer(store, claim, "one moment", path=Path.APPROVAL, approval=scene.APPROVAL)
    (approval,) = await rows(store, "test_approvals", id=accepted.conversation_id)
    decided = Resolution(decision=Decision.APPROVE, decided_by="key", note=None)
    await store.write(resolve_approval, ORGANIZATION, approval["id"], decided, PARTITIONS)
    again = await claimed(store, accepted.conversation_id)
    assert again.request.state == {"asked": "call-1"}
    assert again.request.approval is not None


async def test_nothing_of_it_outlives_a_turn_that_was_closed(store: MovableStore) -> None:
    accepted = await arrive(store)
    claim = await claimed(store, accepted.conversation_id)
    await store.write(keep_progress, claim, {"step": 1})
    await store.write(close, ORGANIZATION, accepted.conversation_id, None, PARTITIONS)
    with pytest.raises(Fenced):
        await store.write(keep_progress, claim, {"step": 2})
    (turn,) = await rows(store, "test_turns", id=accepted.conversation_id)
    assert turn["agent_state"] is None


async def test_a_claim_says_whether_the_sender_is_proven(store: MovableStore) -> None:
    known = await claimed(store, (await arrive(store, mail())).conversation_id)
    forged = await arrive(store, mail(sender="x@example.net", auth=SenderAuth.UNVERIFIED))
    assert known.request.proven
    assert not (await claimed(store, forged.conversation_id)).request.proven


async def test_a_digest_is_there_for_the_next_turn_until_the_conversation_is_forgotten(
    store: MovableStore,
) -> None:
    accepted = await arrive(store)
    claim = await claimed(store, accepted.conversation_id)
    assert claim.request.digest is None
    await answer(store, claim, digest=Digest(up_to=0, text="They said hello."))
    await arrive(store)
    later = await claimed(store, accepted.conversation_id)
    assert later.request.digest == {"up_to": 0, "text": "They said hello."}
    assert "They said hello." not in later.request.model_dump_json()


async def test_facts_gather_and_become_the_memory_of_the_conversation(store: MovableStore) -> None:
    accepted = await arrive(store)
    await answer(store, await claimed(store, accepted.conversation_id), facts=("Likes  tea.",))
    await arrive(store)
    claim = await claimed(store, accepted.conversation_id)
    assert claim.request.facts == ["Likes tea."]
    await answer(store, claim, facts=("Likes tea.", "Lives in Turin."))
    await store.write(close, ORGANIZATION, accepted.conversation_id, None, PARTITIONS)
    (closing,) = await store.write(claim_closings)
    transcript = await store.read(transcript_of, closing)
    assert await store.write(finish_closing, closing, transcript, Summary(text="Asked about tea."))
    later = await arrive(store)
    told = (await claimed(store, later.conversation_id)).request.memory
    assert [memory["text"] for memory in told] == ["Likes tea.\nLives in Turin.\nAsked about tea."]
