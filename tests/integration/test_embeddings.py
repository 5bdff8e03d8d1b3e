"""Documents that are found by words and ranked by meaning, too, against the bundled fake of OpenAI."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic_ai.usage import RequestUsage

from gateway.domain.agent import AgentFailed, EvidenceItem
from gateway.settings import LlmAgent
from tests.integration.api import CONFIG, gateway
from workers.agents import nearest
from workers.agents.fake_openai import Call, ModelFault, ModelRequest, Say, ScriptedModel
from workers.agents.llm import nearness
from workers.knowledge.folders import folders_of
from workers.knowledge.indexer import Indexer

AGENT = """
[agents.librarian]
kind = "llm"
model = "openai-chat:fake-model"
base_url = "{url}"
knowledge = ["docs"]
embeddings = "{embeddings}"
limits = {{ retries = 0, request_seconds = 60 }}
"""
DOCUMENT = """# Cars

## Price

Every price is listed with tax, for each of our many models and all colours, by month, in euros,
since last year.

## Repair

The price to mend a automobile, a price for all.

## Paint

Paint of any colour that you may wish for comes to a price, the same for every shade.
"""


def librarian(asked: ModelRequest) -> Say:
    """Searches, then says what stands first."""
    if asked.messages[-1]["role"] != "tool":
        return Call("search_knowledge", {"question": "price to fix a vehicle"})
    return str(json.loads(asked.messages[-1]["content"])["passages"][0]["section"]["display_label"])


async def first(tmp_path: Path, database_url: str | None, model: ScriptedModel, embeddings: str) -> list[str]:
    """The section that stands first, of two turns."""
    (tmp_path / "docs").mkdir(exist_ok=True)
    (tmp_path / "docs" / "cars.md").write_text(DOCUMENT)
    more = AGENT.format(url=model.base_url, embeddings=embeddings)
    async with gateway(tmp_path, database_url, config=CONFIG, more=more) as api:
        config = api.app.configured.config
        folders = folders_of(config, tmp_path / "gateway.toml")
        await Indexer(api.app.store, config.organization_id, lambda: folders).look()
        path = await api.conversation(assistant_id="librarian")
        return [str((await api.turn(path, "What does it cost?")).json["text"]) for _ in range(2)]


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes half a minute to load the libraries of a provider."""
    monkeypatch.setattr(nearest, "SECONDS", 120.0)


async def test_what_is_near_in_meaning_comes_before_what_has_the_words_only(
    any_database_url: str | None, tmp_path: Path
) -> None:
    model = ScriptedModel(librarian)
    model.alike = {"fix": "mend", "vehicle": "automobile"}
    await model.start()
    try:
        told = await first(tmp_path, any_database_url, model, "openai:fake-embedding")
    finally:
        await model.stop()
    assert told == ["1.2 Repair", "1.2 Repair"]
    asked = [texts for texts in model.embedded if texts == ["price to fix a vehicle"]]
    passages = [texts for texts in model.embedded if texts not in asked]
    assert len(asked) == 2
    assert [len(texts) for texts in passages] == [3]  # each passage once
    assert all(text.startswith("Cars, Cars › ") for text in passages[0])


@pytest.mark.parametrize("fault", [ModelFault.SERVER_ERROR, ModelFault.NO_ANSWER])
async def test_without_an_answer_the_words_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: ModelFault
) -> None:
    if fault is ModelFault.NO_ANSWER:
        monkeypatch.setattr(nearest, "SECONDS", 0.5)
    model = ScriptedModel(librarian)
    model.alike = {"fix": "mend", "vehicle": "automobile"}
    model.embedding_fault = fault
    await model.start()
    try:
        told = await first(tmp_path, None, model, "openai:fake-embedding")
    finally:
        await model.stop()
    assert told[0] == told[1] != "1.2 Repair"
    actions = [getattr(record, "action", "") for record in caplog.records]
    assert "embeddings.failed" in actions


async def test_what_embeddings_cost_counts_for_the_cap_and_not_for_the_message(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "cars.md").write_text(DOCUMENT)
    model = ScriptedModel(librarian)
    await model.start()
    try:
        more = AGENT.format(url=model.base_url, embeddings="openai:fake-embedding")
        more += "embeddings_price = 1_000_000\n"
        async with gateway(
            tmp_path, None, config=CONFIG, organisation="spend_per_day = 500", more=more
        ) as api:
            config = api.app.configured.config
            folders = folders_of(config, tmp_path / "gateway.toml")
            await Indexer(api.app.store, config.organization_id, lambda: folders).look()
            path = await api.conversation(assistant_id="librarian")
            await api.turn(path, "What does it cost?")
            used = (await api.as_("root").get("/v1/organisation/usage")).json
            said = (await api.get(f"{path}/messages")).json["messages"][-1]
    finally:
        await model.stop()
    read = sum(map(len, model.embedded))
    assert read == 4  # the fake counts each text as a token: the question, and three passages
    assert used["spend"] == read
    assert used["tokens"] == said["token_count"]["total_tokens"] + read


async def test_the_offline_model_leaves_the_order_as_it_is(tmp_path: Path) -> None:
    model = ScriptedModel(librarian)
    await model.start()
    try:
        assert (await first(tmp_path, None, model, "test"))[0] != "1.2 Repair"
    finally:
        await model.stop()


class Embedder:
    """Answers the question "slow" when it is told to; `lacking`: so many vectors too few."""

    def __init__(self, lacking: int = 0) -> None:
        self.go_on = asyncio.Event()
        self.lacking = lacking

    async def embed_query(self, question: str) -> SimpleNamespace:
        if question == "slow":
            await self.go_on.wait()
        return SimpleNamespace(embeddings=[[1.0, 0.0]], usage=RequestUsage(input_tokens=3))

    async def embed_documents(self, texts: Sequence[str]) -> SimpleNamespace:
        vectors = [[1.0, 0.0]] * (len(texts) - self.lacking)
        return SimpleNamespace(embeddings=vectors, usage=RequestUsage(input_tokens=100 * len(texts)))


def passages(*names: str) -> list[EvidenceItem]:
    return [EvidenceItem(chunk_id=name, kb_id="k", score=1.0, text=name) for name in names]


async def test_a_search_keeps_the_vectors_that_others_push_out_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nearness, "KEPT", 2)
    ranking = nearness.Nearness(LlmAgent(model="test", embeddings="test"))
    monkeypatch.setattr(ranking, "_embedder", embedder := Embedder())
    await ranking.ranked("quick", passages("a", "b"))
    slow = asyncio.create_task(ranking.ranked("slow", passages("a", "b")))
    await asyncio.sleep(0)  # it has begun
    await ranking.ranked("quick", passages("c", "d"))
    embedder.go_on.set()
    assert [item.chunk_id for item in (await slow).items] == ["a", "b"]


async def test_what_the_model_has_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ranking = nearness.Nearness(LlmAgent(model="test", embeddings="test"))
    monkeypatch.setattr(ranking, "_embedder", Embedder())
    assert (await ranking.ranked("quick", passages("a", "b"))).tokens == 203
    assert (await ranking.ranked("quick", passages("a", "b", "c"))).tokens == 103
    assert (await ranking.ranked("quick", passages("a", "b"))).tokens == 3


async def test_an_answer_that_lacks_vectors_is_a_failure_of_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ranking = nearness.Nearness(LlmAgent(model="test", embeddings="test"))
    monkeypatch.setattr(ranking, "_embedder", Embedder(lacking=1))
    with pytest.raises(AgentFailed, match="ValueError"):
        await ranking.ranked("quick", passages("a", "b"))
