"""The index of knowledge: what is found, in which order, and what of documents that change or go."""

from collections.abc import Sequence

import pytest

from gateway.domain.agent import EvidenceItem
from gateway.domain.knowledge import Document, knowledge_base_id
from gateway.domain.ports.store import Tx
from gateway.service import knowledge
from gateway.service.knowledge import (
    KnowledgeIndex,
    Place,
    count_words,
    indexed_documents,
    put_document,
    remove_document,
)
from tests.contract.conftest import MovableStore
from tests.contract.scene import ORGANIZATION
from workers.knowledge.formats import read_markdown

FAQ = b"""# Returns

## How long

You may return what you bought within 30 days.

## Costs

A refund costs nothing; we pay it to your card.

# Opening hours

We are there from nine to five, every day but Sunday.
"""


def place(folder: str = "docs", path: str = "faq.md") -> Place:
    return Place(ORGANIZATION, knowledge_base_id(ORGANIZATION, folder), path)


async def asked(store: MovableStore, question: str, *folders: str) -> Sequence[EvidenceItem]:
    return await KnowledgeIndex(store).search(ORGANIZATION, folders or ("docs",), question, 5)


async def chunks_of(store: MovableStore, where: Place) -> int:
    async def count(tx: Tx) -> int:
        return len(await tx.all("test_knowledge_chunks", document_id=where.document_id))

    return await store.read(count)


async def test_a_question_finds_the_right_section(store: MovableStore) -> None:
    await put_document(store, place(), "v1", read_markdown(FAQ, "faq"))
    best, *_ = await asked(store, "How long can I return things that I bought?")
    assert best.text == "You may return what you bought within 30 days."
    assert (best.document_title, best.version_number, best.kb_id) == ("Returns", 1, place().kb_id)
    assert best.section is not None
    assert best.section.path_titles == ["Returns", "How long"]
    assert best.section.path_numbers == ["1", "1.1"]
    assert (best.section.display_label, best.section.confidence) == ("1.1 How long", "high")
    assert (best.label, best.short_label) == ("Returns, Returns › How long", "Returns 1.1")
    for question, wanted in (
        ("Refunds to my CARD?", "Costs"),
        ("opening", "Opening hours"),
        ("Are you open on sundays", "Opening hours"),
    ):
        (found, *_) = await asked(store, question)
        assert found.section is not None
        assert found.section.path_titles[-1] == wanted
        assert found.score > 0
    scores = [item.score for item in await asked(store, "return refund")]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("question", ["", "the is my", "elephants", '" OR * NEAR(', "a" * 100_000, "\x00'--"])
async def test_what_fits_nothing_finds_nothing(store: MovableStore, question: str) -> None:
    assert not await asked(store, question)
    await put_document(store, place(), "v1", read_markdown(FAQ, "faq"))
    assert not await asked(store, question)


async def test_only_the_folders_of_an_agent_are_searched(store: MovableStore) -> None:
    await put_document(store, place(), "v1", read_markdown(b"# Refund\n\nOurs.", "a"))
    await put_document(store, place("other"), "v1", read_markdown(b"# Refund\n\nTheirs.", "a"))
    assert [item.text for item in await asked(store, "refund")] == ["Ours."]
    assert [item.text for item in await asked(store, "refund", "other")] == ["Theirs."]
    both = await asked(store, "refund", "docs", "other")
    assert sorted(item.text for item in both) == ["Ours.", "Theirs."]
    assert not await asked(store, "refund", "unknown")


async def test_new_contents_replace_the_old_at_once(store: MovableStore) -> None:
    await put_document(store, place(), "v1", read_markdown(FAQ, "faq"))
    await put_document(store, place(), "v1", read_markdown(FAQ, "faq"))
    assert await chunks_of(store, place()) == 3
    await put_document(store, place(), "v2", read_markdown(b"# Returns\n\nWithin 14 days.", "faq"))
    (found,) = await asked(store, "return")
    assert (found.text, found.version_number) == ("Within 14 days.", 2)
    assert not await asked(store, "card")
    assert await chunks_of(store, place()) == 1
    known = await store.read(indexed_documents, place().kb_id)
    assert [(one.path, one.content_hash) for one in known.values()] == [("faq.md", "v2")]


async def test_what_a_killed_indexer_left_is_not_found_and_goes(store: MovableStore) -> None:
    await put_document(store, place(), "v1", read_markdown(FAQ, "faq"))
    half = read_markdown(b"# Elephants\n\nHalf a document.", "faq")
    await store.write(knowledge._put_chunks, [knowledge._row(place(), "v2", 0, half.chunks[0], half)])
    assert not await asked(store, "elephants")
    assert await asked(store, "card")
    await put_document(store, place(), "v3", half)
    assert await chunks_of(store, place()) == 1


async def test_a_document_goes_with_all_its_chunks(store: MovableStore) -> None:
    await put_document(store, place(), "v1", read_markdown(FAQ, "faq"))
    long = Document("Long", tuple(read_markdown(FAQ, "faq").chunks) * 100)
    await put_document(store, place(path="long.md"), "v1", long)
    await remove_document(store, place(path="long.md").document_id)
    assert await chunks_of(store, place(path="long.md")) == 0
    assert {item.document_title for item in await asked(store, "return card")} == {"Returns"}
    await remove_document(store, place().document_id)
    assert not await asked(store, "return card")


async def test_a_rare_word_is_found_among_frequent_ones(store: MovableStore) -> None:
    text = "\n\n".join(f"# Item {n}\n\nThe order of a customer, number {n}." for n in range(600))
    await put_document(store, place(), "v1", read_markdown(text.encode(), "items"))
    await put_document(
        store, place(path="b.md"), "v1", read_markdown(b"# Item\n\nA voucher for an order.", "b")
    )
    best, *_ = await asked(store, "voucher customer order number item")
    assert best.text == "A voucher for an order."
    assert len(await asked(store, "order")) == 5


async def test_words_that_were_not_counted_yet_are_found_all_the_same(store: MovableStore) -> None:
    await put_document(store, place(), "v1", read_markdown(FAQ, "faq"))
    await store.write(count_words, place().kb_id)
    await put_document(store, place(path="b.md"), "v1", read_markdown(b"# Vouchers\n\nA voucher.", "b"))
    for _ in range(2):
        assert [item.text for item in await asked(store, "voucher")] == ["A voucher."]
        assert (await asked(store, "card"))[0].text.startswith("A refund costs nothing")
        await store.write(count_words, place().kb_id)
    await remove_document(store, place().document_id)
    assert not await asked(store, "card")
    await store.write(count_words, place().kb_id)
    assert not await asked(store, "card")


async def test_a_question_of_frequent_words_only_finds_where_they_stand_together(
    store: MovableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knowledge, "_READ", 20)
    monkeypatch.setattr(knowledge, "_IN_PART", 10)
    text = "\n\n".join(f"# Item {n}\n\nThe {'order' if n % 2 else 'customer'} {n}." for n in range(100))
    await put_document(store, place(), "v1", read_markdown(text.encode(), "items"))
    await put_document(
        store, place(path="b.md"), "v1", read_markdown(b"# Item\n\nThe order of a customer.", "b")
    )
    for _ in range(2):
        best, *_ = await asked(store, "customer order")
        assert best.text == "The order of a customer."
        await store.write(count_words, place().kb_id)
