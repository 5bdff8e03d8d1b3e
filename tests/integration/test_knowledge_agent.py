"""A model that looks into its documents: cited in the reply, evidence by API, on both databases."""

import json
from pathlib import Path

from tests.integration.api import CONFIG, gateway
from workers.agents.fake_openai import Call, Say, ScriptedModel
from workers.knowledge.folders import folders_of
from workers.knowledge.indexer import Indexer

KNOWING = """
[agents.librarian]
kind = "llm"
model = "openai:fake-model"
base_url = "{url}"
knowledge = ["docs/faq"]
limits = {{ request_seconds = 60 }}
"""
SCRIPT: list[Say] = [
    Call("search_knowledge", {"question": "deadline"}),
    Call("search_knowledge", {"question": "postage"}),
    "Within 30 days [1], and we pay the postage [2].",
    Call("search_knowledge", {"question": "elephants"}),
    "I do not know.",
]


async def test_an_answer_names_the_sections_it_rests_on(any_database_url: str | None, tmp_path: Path) -> None:
    docs = tmp_path / "docs" / "faq"
    docs.mkdir(parents=True)
    (docs / "returns.md").write_text(
        "# Returns\n\n## Deadline\n\nReturn it within 30 days.\n\n## Costs\n\nWe pay the postage.\n"
    )
    model = ScriptedModel(SCRIPT)
    await model.start()
    try:
        more = KNOWING.format(url=model.base_url)
        async with gateway(tmp_path, any_database_url, config=CONFIG, more=more) as api:
            config = api.app.configured.config
            folders = folders_of(config, tmp_path / "gateway.toml")
            await Indexer(api.app.store, config.organization_id, lambda: folders).look()
            path = await api.conversation(assistant_id="librarian")
            asked = {"user_message": "Can I send it back?", "include_evidence": True, "evidence_view": "full"}
            answer = (await api.post(f"{path}/turns", asked)).json
            unknown = (await api.post(f"{path}/turns", {**asked, "user_message": "Elephants?"})).json
            poll = (await api.get(f"{path}/messages")).json["messages"]
    finally:
        await model.stop()
    assert answer["text"] == "Within 30 days [1], and we pay the postage [2]."
    deadline, costs = answer["evidence"]["items"]
    assert (deadline["citation_marker"], costs["citation_marker"]) == ("[1]", "[2]")
    assert deadline["section"]["path_titles"] == ["Returns", "Deadline"]
    assert (deadline["section"]["display_label"], costs["section"]["display_label"]) == (
        "1.1 Deadline",
        "1.2 Costs",
    )
    assert (deadline["text"], costs["text"]) == ("Return it within 30 days.", "We pay the postage.")
    assert deadline["document_title"] == "Returns"
    assert deadline["score"] > 0
    assert unknown["evidence"]["items"] == []
    assert [item["chunk_id"] for item in poll[1]["evidence"]] == [deadline["chunk_id"], costs["chunk_id"]]
    read = json.loads(model.requests[1].messages[-1]["content"])
    assert [passage["citation_marker"] for passage in read["passages"]] == ["[1]"]
    offered = [tool["function"]["name"] for tool in model.requests[0].body["tools"]]
    assert "search_knowledge" in offered
