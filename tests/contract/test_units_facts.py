"""Facts about people: kept at the end of a conversation, told first and once; a model that fails."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from gateway.domain.agent import AgentFailed
from gateway.domain.ids import named_id
from gateway.domain.message import SenderAuth
from gateway.domain.ports.store import Store, Tx
from gateway.domain.steps import MAX_FACTS
from gateway.domain.summary import Summary, Transcript
from gateway.domain.usage import Caps, Meter
from gateway.service.brake import pause, resume
from gateway.service.close import close
from gateway.service.erase import request_erasure
from gateway.service.remember import (
    BUDGET,
    FACTS_BUDGET,
    MOST,
    NEWEST,
    Correction,
    correct_memory,
    facts_of,
    memories_page,
    memory_of,
)
from gateway.service.usage import today
from gateway.store.records import pack
from tests.contract.conftest import MovableStore
from tests.contract.scene import (
    ORGANIZATION,
    PARTITIONS,
    ROUTE,
    answer,
    arrive,
    claimed,
    conversation,
    mail,
    rows,
    sms,
)
from workers.closings import WAITS, Closer

FACTS = ("Is allergic to nuts.", "Lives in Turin.")


class Model:
    """Sums up as it is told, and keeps what it was given."""

    def __init__(self, *facts: str, failures: int = 0) -> None:
        self.facts = facts
        self.failures = failures
        self.read: list[Transcript] = []

    async def __call__(self, transcript: Transcript) -> Summary | None:
        self.read.append(transcript)
        if self.failures:
            self.failures -= 1
            raise AgentFailed("told to fail")
        return Summary(text="They bought tea.", facts=self.facts, input_tokens=100, output_tokens=7)


async def ended(store: MovableStore, text: str = "hello") -> tuple[str, str]:
    """(person, conversation) that is over and not summed up yet."""
    accepted = await arrive(store, sms(text))
    await answer(store, await claimed(store, accepted.conversation_id), facts=("Likes tea.",))
    await store.write(close, ORGANIZATION, accepted.conversation_id, None, PARTITIONS)
    store.advance(1)
    return accepted.end_user_id, accepted.conversation_id


async def told(store: Store, person: str) -> list[str]:
    return [memory["text"] for memory in await store.read(memory_of, person)]


async def test_facts_are_kept_beside_the_summary_and_told_before_it(store: MovableStore) -> None:
    person, first = await ended(store)
    assert await Closer(store, Model(*FACTS)).look() == 1
    (memory,) = (await store.read(memories_page, ORGANIZATION, person, None, 10)).items
    assert (memory.text, memory.facts) == ("They bought tea.", ("Likes tea.", *FACTS))
    assert (await conversation(store, first))["summary"] == "They bought tea."
    assert await told(store, person) == ["\n".join(("Likes tea.", *FACTS, "They bought tea."))]
    model = Model("is allergic to NUTS.", "Has a dog.")
    _, second = await ended(store)
    await Closer(store, model).look()
    assert [*model.read[0].known] == ["Likes tea.", *FACTS, "Likes tea."]
    newest, oldest = await store.read(memory_of, person)
    assert newest["text"] == "Likes tea.\nHas a dog.\nThey bought tea."
    assert oldest["text"] == "\n".join((*FACTS, "They bought tea."))
    assert (newest["conversation_id"], oldest["conversation_id"]) == (second, first)
    assert newest["date"] > oldest["date"]


async def test_facts_are_corrected_and_forgotten_apart_from_the_summary(store: MovableStore) -> None:
    person, one = await ended(store)
    await Closer(store, Model(*FACTS)).look()

    async def corrected(correction: Correction) -> tuple[str, tuple[str, ...]]:
        memory = await store.write(correct_memory, ORGANIZATION, person, one, correction)
        return memory.text, memory.facts

    assert await corrected(Correction(facts=["Lives in Milan."])) == (
        "They bought tea.",
        ("Lives in Milan.",),
    )
    assert await corrected(Correction(text="Bought tea.")) == ("Bought tea.", ("Lives in Milan.",))
    assert await corrected(Correction(facts=[])) == ("Bought tea.", ())
    assert await told(store, person) == ["Bought tea."]


async def remembered(store: MovableStore, person: str, number: int, text: str, *facts: str) -> None:
    async def put(tx: Tx) -> None:
        await tx.run(
            "memory_insert",
            conversation_id=named_id(f"conversation {number}"),
            organization_id=ORGANIZATION,
            end_user_id=person,
            channel="sms",
            text=text,
            facts=pack(facts) if facts else None,
        )

    await store.write(put)
    store.advance(1)


async def test_an_old_fact_is_told_when_its_conversation_is_not_any_more(store: MovableStore) -> None:
    person = (await arrive(store)).end_user_id
    await remembered(store, person, 0, "The first of many.", "Is allergic to nuts.")
    for number in range(1, NEWEST + 5):
        await remembered(store, person, number, f"summary {number}")
    assert (await told(store, person))[-1] == "Is allergic to nuts."
    assert len(await told(store, person)) == NEWEST + 1
    for number in range(NEWEST + 5, MOST + 1):
        await remembered(store, person, number, f"summary {number}")
    assert await store.read(facts_of, person) == []


async def test_facts_and_summaries_share_one_budget(store: MovableStore) -> None:
    person = (await arrive(store)).end_user_id
    for number in range(4):
        await remembered(
            store, person, number, "ü" * 600, *(f"{number} {n} " + "x" * 200 for n in range(MAX_FACTS))
        )
    lines = "\n".join(await told(store, person)).split("\n")
    facts = [line for line in lines if line.endswith("x")]
    assert FACTS_BUDGET - 250 < sum(map(len, facts)) <= FACTS_BUDGET
    assert [line for line in lines if line.endswith("ü")] == ["ü" * 600]
    assert sum(len(line.encode()) for line in lines) <= BUDGET


def counted() -> tuple[float, ...]:
    """Summaries so far: made, put off, given up."""
    name, results = "gateway_summaries_total", ("made", "failed", "quoted")
    return tuple(REGISTRY.get_sample_value(name, {"result": result}) or 0 for result in results)


async def test_a_model_that_fails_is_asked_later_and_in_the_end_the_conversation_is_quoted(
    store: MovableStore,
) -> None:
    model = Model(failures=len(WAITS) + 1)
    before = counted()
    person, one = await ended(store, "Where is my order?")
    for number, wait in enumerate(WAITS):
        assert await Closer(store, model).look() == 0
        assert len(model.read) == number + 1
        store.advance(wait - 1)
        assert await Closer(store, model).look() == 0
        assert len(model.read) == number + 1
        store.advance(2)
    assert await Closer(store, model).look() == 1
    assert "Asked: “Where is my order?”" in (await conversation(store, one))["summary"]
    assert await store.read(facts_of, person) == ["Likes tea."]
    assert await rows(store, "test_closings") == []
    changed = [after - earlier for earlier, after in zip(before, counted(), strict=True)]
    assert changed == [0, len(WAITS), 1]


async def test_a_model_that_recovers_sums_up(store: MovableStore) -> None:
    person, _ = await ended(store)
    model = Model(*FACTS, failures=1)
    assert await Closer(store, model).look() == 0
    store.advance(WAITS[0] + 1)
    assert await Closer(store, model).look() == 1
    assert await store.read(facts_of, person) == ["Likes tea.", *FACTS]


async def test_nothing_is_asked_or_kept_of_who_was_erased(store: MovableStore) -> None:
    person, one = await ended(store)
    await store.write(request_erasure, ORGANIZATION, person, PARTITIONS)
    model = Model(*FACTS)
    assert await Closer(store, model).look() == 1
    assert model.read == []
    assert await rows(store, "test_memories") == []
    row = await conversation(store, one)
    assert (row["summary"], bool(row["memory_synced"])) == (None, False)


async def test_who_is_erased_while_the_model_reads_is_not_remembered(store: MovableStore) -> None:
    person, one = await ended(store)

    async def slow(transcript: Transcript) -> Summary | None:
        await store.write(request_erasure, ORGANIZATION, person, PARTITIONS)
        return Summary(text="They bought tea.", facts=FACTS)

    assert await Closer(store, slow).look() == 1
    assert await rows(store, "test_memories") == []
    assert (await conversation(store, one))["summary"] is None


async def test_a_summary_of_unproven_mail_tells_nothing_of_anybody(store: MovableStore) -> None:
    accepted = await arrive(store, mail(auth=SenderAuth.UNVERIFIED))
    await answer(store, await claimed(store, accepted.conversation_id))
    await store.write(close, ORGANIZATION, accepted.conversation_id, None, PARTITIONS)
    model = Model(*FACTS)
    assert await Closer(store, model).look() == 1
    assert [(t.proven, t.stopped, t.erased) for t in model.read] == [(False, False, False)]
    assert await rows(store, "test_memories") == []


@pytest.mark.parametrize("subject", [ORGANIZATION, ROUTE.agent_id])
async def test_the_transcript_says_whether_the_agent_may_be_asked(store: MovableStore, subject: str) -> None:
    await store.write(pause, ORGANIZATION, subject, by="olga", reason=None)
    await store.write(resume, subject, PARTITIONS)
    await ended(store)
    await store.write(pause, ORGANIZATION, subject, by="olga", reason=None)
    model = Model()
    await Closer(store, model).look()
    assert [t.stopped for t in model.read] == [True]


async def test_what_a_summary_cost_is_counted_as_no_turn(store: MovableStore) -> None:
    await ended(store)
    caps = Caps(organization_id=ORGANIZATION, spend_per_day=1_000_000_000)
    meter = Meter(caps=caps, input_price=1_000_000, output_price=2_000_000)
    await Closer(store, Model(*FACTS), lambda _: meter).look()
    used = (await store.read(today, ORGANIZATION)).used
    assert (used.turns, used.tokens, used.spend) == (0, 107, 114)


async def test_slow_summaries_are_made_at_once(store: MovableStore) -> None:
    waiting: list[Transcript] = []
    all_there = asyncio.Event()

    async def slow(transcript: Transcript) -> Summary | None:
        waiting.append(transcript)
        if len(waiting) == 5:
            all_there.set()
        await all_there.wait()
        return Summary(text="fine")

    for number in range(5):
        accepted = await arrive(store, sms(sender=f"+1415555010{number}"))
        await answer(store, await claimed(store, accepted.conversation_id))
        await store.write(close, ORGANIZATION, accepted.conversation_id, None, PARTITIONS)
    async with asyncio.timeout(30):
        assert await Closer(store, slow).look() == 5
