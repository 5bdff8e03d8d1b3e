"""Agents behind a URL, and in Python, that are handed passages of their documents with each turn."""

from pathlib import Path
from typing import Any

from tests.integration.api import CONFIG, Api, gateway
from tests.integration.api_agents import Steering
from workers.agents.fake import ScriptedHttpAgent
from workers.knowledge.folders import folders_of
from workers.knowledge.indexer import Indexer

KNOWING = """
[agents.remote]
kind = "http"
url = "{url}"
knowledge = ["docs/faq"]

[agents.plain]
kind = "http"
url = "{url}"

[agents.local]
kind = "python"
target = "tests.integration.api_agents:steered"
knowledge = ["docs/faq"]
"""


def cites(turn: Any) -> Any:
    """An answer that rests on the first passage."""
    known = turn.get("knowledge") or []
    return {"text": f"{len(known)} passages", "evidence": {"items": known[:1]}}


async def indexed(api: Api, tmp_path: Path) -> None:
    config = api.app.configured.config
    folders = folders_of(config, tmp_path / "gateway.toml")
    await Indexer(api.app.store, config.organization_id, lambda: folders).look()


async def test_passages_come_with_the_turn_and_may_be_cited(
    any_database_url: str | None, tmp_path: Path, steering: Steering
) -> None:
    docs = tmp_path / "docs" / "faq"
    docs.mkdir(parents=True)
    (docs / "returns.md").write_text("# Returns\n\n## Deadline\n\nReturn it within 30 days.\n")
    remote = ScriptedHttpAgent(cites)
    await remote.start()
    try:
        more = KNOWING.format(url=remote.url)
        async with gateway(tmp_path, any_database_url, config=CONFIG, more=more) as api:
            await indexed(api, tmp_path)
            path = await api.conversation(assistant_id="remote")
            asked = {"user_message": "What is the deadline?", "include_evidence": True}
            answer = (await api.post(f"{path}/turns", asked)).json
            unknown = (await api.turn(path, "Elephants?")).json
            await api.turn(await api.conversation(assistant_id="plain"), "What is the deadline?")
            await api.turn(await api.conversation(assistant_id="local"), "What is the deadline?")
    finally:
        await remote.stop()
    assert (answer["text"], unknown["text"]) == ("1 passages", "0 passages")
    (item,) = answer["evidence"]["items"]
    assert (item["citation_marker"], item["document_title"]) == ("[1]", "Returns")
    known, nothing, plain = (request.turn.get("knowledge") for request in remote.requests)
    assert [one["text"] for one in known or []] == ["Return it within 30 days."]
    assert (nothing, plain) == ([], None)
    assert [item.text for item in steering.asked[-1].knowledge or []] == ["Return it within 30 days."]
