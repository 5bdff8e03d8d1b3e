"""The README's model with documents, tools and a policy, as written but for the shop, answers turns."""

import importlib
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web

from gateway.domain.agent import (
    ApprovalDecision,
    ApprovalRequired,
    Delta,
    Evidence,
    ToolAnswered,
    TurnRequest,
)
from gateway.domain.clock import Clock
from gateway.domain.steps import AgentStep, Progress
from gateway.service.knowledge import KnowledgeIndex
from gateway.settings import load_config
from gateway.store.engine import open_store
from tests.loopback import served
from tests.readme import blocks, python_file
from tests.schema import schema_file
from tests.turns import turn_of
from workers.agents.catalogue import build_agents
from workers.agents.fake_openai import Call, ScriptedModel
from workers.agents.http import HttpAgents
from workers.knowledge.folders import folders_of
from workers.knowledge.indexer import Indexer

SHOP = "https://shop.example"


async def steps_of(config_file: Path, turn: TurnRequest) -> list[AgentStep]:
    """What the agent does, once its documents are indexed."""
    config = load_config(config_file, "example.org")
    url = await schema_file(config_file.parent / "gateway.db")
    async with open_store(url, Clock()) as store, HttpAgents(None, Clock()) as http:
        await Indexer(store, config.organization_id, lambda: folders_of(config, config_file)).look()
        agent = build_agents(config, http, KnowledgeIndex(store))[config.agents["support"].id].agent
        return [step async for step in agent.answer(turn)]


async def test_it_finds_an_order_and_asks_before_it_refunds_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (text,) = [block.text for block in blocks("toml") if 'kind = "llm"' in block.text]
    assert len(text.splitlines()) < 30
    refunded: list[tuple[str, str, str]] = []

    async def refund(request: web.Request) -> web.Response:
        key, token = request.headers["Idempotency-Key"], request.headers["Authorization"]
        refunded.append((request.match_info["order"], token, key))
        return web.json_response({"refunded": "19.90 EUR"})

    shop = web.Application()
    shop.router.add_post("/orders/{order}/refund", refund)
    model = ScriptedModel(
        [
            [
                Call("search_knowledge", {"question": "refunds of late orders"}),
                Call("find_order", {"order": "17"}),
                Call("refund_order", {"order": "17", "reason": "late"}),
            ],
            "You get 19.90 EUR back [1].",
        ]
    )
    await model.start()
    monkeypatch.setenv("OPENAI_BASE_URL", model.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    monkeypatch.setenv("SHOP_TOKEN", "Bearer token")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "shop_tools.py").write_text(python_file("shop_tools.py"), "utf-8")
    importlib.invalidate_caches()
    (tmp_path / "docs" / "faq").mkdir(parents=True)
    (tmp_path / "docs" / "faq" / "refunds.md").write_text("# Refunds\n\n## Late orders\n\nWe refund them.\n")
    assert text.count(SHOP) == 1
    config_file = tmp_path / "gateway.toml"
    async with AsyncExitStack() as ends, served(shop) as place:
        ends.push_async_callback(model.stop)
        config_file.write_text(text.replace(SHOP, place), "utf-8")
        turn = turn_of("Where is order 17? I want my money back.")
        turn = turn.model_copy(update={"context_variables": {"city": "Turin"}})
        steps = await steps_of(config_file, turn)
        (cited,) = [item for step in steps if isinstance(step, Evidence) for item in step.items]
        assert (cited.citation_marker, cited.text) == ("[1]", "We refund them.")
        assert cited.section is not None
        assert cited.section.path_titles == ["Refunds", "Late orders"]
        _, found = (step for step in steps if isinstance(step, ToolAnswered))
        assert found.output == {"order": "17", "state": "shipped", "asked_by": "user-1"}
        wanted = next(step for step in steps if isinstance(step, ApprovalRequired))
        assert (wanted.tool, wanted.approver_role) == ("refund_order", "supervisor")
        assert "You answer for the shop of Turin." in str(model.requests[0].messages[0]["content"])
        assert refunded == []
        state = [step.state for step in steps if isinstance(step, Progress)][-1]
        approved = ApprovalDecision(
            approval_id="approval-1", tool_call_id=wanted.tool_call_id, decision="approve"
        )
        steps = await steps_of(config_file, turn.model_copy(update={"state": state, "approval": approved}))
        assert (
            "".join(step.text for step in steps if isinstance(step, Delta)) == "You get 19.90 EUR back [1]."
        )
        assert refunded == [("17", "Bearer token", f"turn-1:{wanted.tool_call_id}")]
