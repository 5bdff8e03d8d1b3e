"""What is kept of a person is read page by page: all of it, once, and no more at a time than a page."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from gateway.api.schemas.export import exported_conversation
from gateway.domain.consent import ConsentSource, ConsentState, Evidence
from gateway.domain.delivery import PartText
from gateway.domain.ids import new_id
from gateway.domain.message import Channel
from gateway.domain.outgoing_call import CallState
from gateway.domain.ports.store import Store, Taker, Wake
from gateway.domain.steps import Digest
from gateway.domain.turn import Path
from gateway.service import export as exports
from gateway.service.begin_call import begin_call
from gateway.service.close import close
from gateway.service.consent import revoke
from gateway.service.export import Export, person
from gateway.service.merge import merge
from gateway.service.parts import store_parts
from gateway.service.respond import finish_turn
from gateway.store.records import conversation_of
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.outgoing_line import SID, Line, new
from tests.contract.scene import (
    ORGANIZATION,
    OURS,
    PARTITIONS,
    ROUTE,
    THEIRS,
    answer,
    arrive,
    claimed,
    mail,
    rows,
    sms,
)

T = TypeVar("T")


class Counting:
    """A store that counts how often it is read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads = 0

    async def read(self, unit: Callable[..., Awaitable[Any]], /, *args: Any, **kwargs: Any) -> Any:
        self.reads += 1
        return await self._store.read(unit, *args, **kwargs)

    async def write(self, unit: Callable[..., Awaitable[Any]], /, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("an export writes nothing")

    def on_wake(self, wake: Wake, callback: Callable[[], None]) -> None:
        raise AssertionError("an export waits for nothing")

    def hand_over_to(self, taker: Taker) -> None:
        raise AssertionError("an export posts nothing")


async def everything(items: AsyncIterator[T]) -> list[T]:
    return [item async for item in items]


async def test_a_long_conversation_is_read_page_by_page(store: MovableStore) -> None:
    accepted = await arrive(store)
    claim = await claimed(store, accepted.conversation_id)
    texts = [str(number) for number in range(2 * exports.PAGE)]
    await store.write(finish_turn, claim, scene.reply(*texts), PARTITIONS)
    counting = Counting(store)
    found = await store.read(person, ORGANIZATION, accepted.end_user_id)
    export = Export(counting, ORGANIZATION, found)
    messages = export.messages(accepted.conversation_id)
    for _ in range(exports.PAGE):
        await anext(messages)
    assert counting.reads == 1
    read = await everything(export.messages(accepted.conversation_id))
    assert [m.message.content for m in read] == ["hello", *texts]
    assert [m.message.seq for m in read] == list(range(len(texts) + 1))
    assert [len(m.deliveries) for m in read] == [0, *(1 for _ in texts)]


async def test_all_of_a_person_and_nothing_of_others(store: MovableStore) -> None:
    texted, mailed = await arrive(store, sms()), await arrive(store, mail())
    await arrive(store, sms("a stranger", sender="+14155550199"))
    called = await arrive(store, scene.call("refund", "call-1"))
    hold = await claimed(store, called.conversation_id)
    await answer(store, hold, "one moment", path=Path.APPROVAL, approval=scene.APPROVAL)
    begun = {texted.conversation_id, mailed.conversation_id, called.conversation_id}
    for _ in range(exports.PAGE + 1):
        accepted = await arrive(store, mail("more"))
        begun.add(accepted.conversation_id)
    await answer(store, await claimed(store, texted.conversation_id), path=Path.HANDOFF)
    await store.write(merge, ORGANIZATION, texted.end_user_id, mailed.end_user_id)
    said = Evidence(source=ConsentSource.OPERATOR, detail="asked on the phone", actor="olga")
    await store.write(revoke, ORGANIZATION, Channel.SMS, (OURS, THEIRS), said)
    found = await store.read(person, ORGANIZATION, mailed.end_user_id)
    assert (found.record.id, [r.id for r in found.merged]) == (texted.end_user_id, [mailed.end_user_id])
    assert [(s.their_address, s.derived) for s in found.suppressions] == [(THEIRS, False)]
    export = Export(store, ORGANIZATION, found)
    conversations = await everything(export.conversations())
    assert {c.id for c in conversations} == begun
    assert len(conversations) == len(begun)
    (wish,) = await everything(export.consents())
    assert (wish.state, wish.evidence) == (ConsentState.OPTED_OUT, said)
    (handoff,) = await everything(export.handoffs(texted.conversation_id))
    assert handoff.conversation_id == texted.conversation_id
    (approval,) = await everything(export.approvals(called.conversation_id))
    assert approval["subject_ref"] == "refund"
    assert await everything(export.approvals(texted.conversation_id)) == []
    assert await everything(export.memories()) == []


async def test_what_an_agent_keeps_of_a_conversation_is_told(store: MovableStore) -> None:
    accepted = await arrive(store)
    digest = Digest(up_to=0, text="They greeted.")
    await answer(store, await claimed(store, accepted.conversation_id), facts=("Likes tea.",), digest=digest)
    found = await store.read(person, ORGANIZATION, accepted.end_user_id)
    export = Export(store, ORGANIZATION, found)
    beside = await export.beside(accepted.conversation_id)
    assert (beside.digest, beside.facts) == ("They greeted.", ("Likes tea.",))
    (shown,) = await everything(export.conversations())
    told = exported_conversation(shown, beside).model_dump()
    assert (told["digest"], told["facts"], told["outgoing_call"]) == ("They greeted.", ["Likes tea."], None)
    nothing = await export.beside(new_id())
    assert (nothing.digest, nothing.facts) == (None, ())


async def test_a_call_that_nobody_answered_tells_what_it_was_to_say(store: MovableStore) -> None:
    wish = new(first_message="Hello Ada, your order is ready.")
    line = Line(store, (await store.write(begin_call, wish, ROUTE)).id)
    await line.dialed()
    await line.report(CallState.NO_ANSWER)
    found = await store.read(person, ORGANIZATION, (await line.row())["end_user_id"])
    beside = await Export(store, ORGANIZATION, found).beside(line.id)
    assert [call["call_id"] for call in beside.calls] == [SID]
    shown = exported_conversation(conversation_of(await line.row()), beside).model_dump()["outgoing_call"]
    assert (shown["first_message"], shown["state"]) == ("Hello Ada, your order is ready.", "no_answer")
    assert (shown["attempt"], shown["answered_by"], shown["answered_at"]) == (1, None, None)


async def test_the_parts_of_a_delivery_are_told_without_their_texts(store: MovableStore) -> None:
    accepted = await arrive(store)
    await answer(store, await claimed(store, accepted.conversation_id), "one")
    (delivery,) = await rows(store, "test_deliveries", id=accepted.conversation_id)
    await store.write(store_parts, delivery["id"], [PartText("one")])
    await store.write(close, ORGANIZATION, accepted.conversation_id, None, PARTITIONS)
    found = await store.read(person, ORGANIZATION, accepted.end_user_id)
    _, read = await everything(Export(store, ORGANIZATION, found).messages(accepted.conversation_id))
    ((shown,),) = [read.deliveries]
    assert (shown.row["recipient"], shown.row["state"]) == (THEIRS, "canceled")
    (part,) = shown.parts
    assert (part["number"], part["state"]) == (0, "pending")
    assert "text" not in part
