"""Approvals over HTTP: who may decide, one of many who decide at once, a parked agent behind a URL."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.domain.fallback import SAFE_MESSAGE
from gateway.service.keys import create_key
from gateway.settings import KeyRole
from tests.integration.api import Api, gateway
from tests.integration.test_api_brakes import eventually
from workers.agents.fake import AgentFault, Answer, ScriptedHttpAgent

HELD: Mapping[str, Any] = {
    "type": "approval_required",
    "tool_call_id": "call-1",
    "tool": "refund_order",
    "arguments": {"order": 7},
    "suspend_message": "I am checking that.",
}


async def test_an_approval_needs_its_role_and_is_decided_once(any_api: Api) -> None:
    path = await any_api.conversation()
    parked = (await any_api.turn(path, "pay")).json
    assert (parked["path"], parked["session_status"]) == ("approval", "awaiting_approval")
    desk = any_api.as_("desk")
    approval = (await desk.get("/v1/hitl/approvals?status=pending")).json["items"][0]
    assert approval.keys() == {
        *("id", "organization_id", "conversation_id", "turn_id", "subject_kind", "subject_ref", "payload"),
        *("approver_role", "status", "suspend_message", "decision", "decided_by", "decided_at", "note"),
        *("timeout_at", "created_at"),
    }
    assert (approval["turn_id"], approval["subject_ref"]) == (parked["turn_id"], "pay")
    resolve = f"{path}/approvals/{approval['id']}/resolve"
    reject = {"decision": "reject", "note": "no"}
    assert (await desk.post(resolve, reject)).error == (403, "approver_role_required")
    elsewhere = f"{await any_api.conversation()}/approvals/{approval['id']}/resolve"
    assert (await any_api.post(elsewhere, reject)).error == (404, "not_found")
    assert (await any_api.post(resolve, {"decision": "perhaps"})).error == (422, "validation_error")
    _, key = await any_api.app.store.write(create_key, "Here", "Ann", KeyRole.OPERATOR, ("cashier",))
    decided = await any_api.as_(key).post(resolve, reject)
    assert decided.status == 200
    assert {name: decided.json[name] for name in ("status", "decision", "decided_by", "note")} == {
        "status": "rejected",
        "decision": "reject",
        "decided_by": "Ann",
        "note": "no",
    }
    assert (await any_api.post(resolve, reject)).error == (409, "already_resolved")
    assert (await any_api.get(path)).json["status"] == "closed"
    assert (await desk.get(f"/v1/hitl/approvals/{approval['id']}")).json == decided.json


def answered(turn: Mapping[str, Any]) -> Answer:
    """What the shop's agent says: a refund is held, and what comes after the decision depends on it."""
    texts = [message["content"] for message in turn["messages"] if message["seq"] in turn["input"]]
    if turn["approval"] is not None:
        return {"text": f"{turn['approval']['decision']}: {turn['approval']['note']}"}
    if "refund" not in texts[0]:
        return {"text": f"You asked: {' '.join(texts)}"}
    return [HELD]


@asynccontextmanager
async def shop() -> AsyncIterator[tuple[ScriptedHttpAgent, str]]:
    """An agent behind a URL, and its part of the configuration."""
    agent = ScriptedHttpAgent(answered)
    await agent.start()
    try:
        yield agent, f'[agents.shop]\nkind = "http"\nurl = "{agent.url}"\n'
    finally:
        await agent.stop()


async def pending(api: Api, path: str) -> str:
    """Where the one open approval of a conversation is decided."""
    found = (await api.get("/v1/hitl/approvals?status=pending")).json["items"]
    (approval,) = [item for item in found if item["conversation_id"] == path.rpartition("/")[2]]
    return f"{path}/approvals/{approval['id']}/resolve"


async def said(api: Api, path: str) -> list[str]:
    """What is in the transcript, in order."""
    rows = (await api.get(f"{path}/messages?since_seq=-1")).json["messages"]
    assert [row["seq"] for row in rows] == list(range(len(rows)))
    return [row["content"] for row in rows]


async def after(api: Api, path: str, last: str) -> list[str] | None:
    """The transcript, once it ends so."""
    texts = await said(api, path)
    return texts if texts[-1] == last else None


async def test_a_parked_agent_behind_a_url_goes_on_after_a_restart(
    any_database_url: str | None, tmp_path: Path
) -> None:
    async with shop() as (agent, config):
        async with gateway(tmp_path, any_database_url, more=config) as api:
            path = await api.conversation(assistant_id="shop")
            *shown, (kind, parked) = (await api.stream(path, "a refund, please")).events
            assert (kind, parked["path"], parked["decision_source"]) == ("complete", "approval", "policy")
            assert "".join(piece["text"] for _, piece in shown) == parked["text"] == HELD["suspend_message"]
            waits = (await api.turn(path, "well?")).json
            assert (waits["path"], waits["decision_source"]) == ("queued", "policy")
        async with gateway(tmp_path, any_database_url, more=config) as api:
            assert (await api.get(path)).json["status"] == "awaiting_approval"
            body = {"decision": "approve", "note": "fine"}
            assert (await api.post(await pending(api, path), body)).json["status"] == "approved"
            texts = await eventually(lambda: after(api, path, "You asked: well?"))
        assert texts == [
            "a refund, please",
            "I am checking that.",
            "well?",
            "approve: fine",
            "You asked: well?",
        ]
        first, again, newer = [request.turn for request in agent.requests]
        assert (first["turn_id"], first["approval"]) == (parked["turn_id"], None)
        assert again["turn_id"] == parked["turn_id"]
        assert again["approval"] == {
            "approval_id": again["approval"]["approval_id"],
            "tool_call_id": "call-1",
            "decision": "approve",
            "note": "fine",
        }
        assert newer["turn_id"] == waits["turn_id"]


async def test_after_a_rejection_the_agent_is_not_asked(tmp_path: Path) -> None:
    async with shop() as (agent, config), gateway(tmp_path, more=config) as api:
        path = await api.conversation(assistant_id="shop")
        await api.turn(path, "a refund, please")
        await api.post(await pending(api, path), {"decision": "reject", "note": "no"})
        assert (await api.get(path)).json["status"] == "closed"
        assert (await said(api, path))[-1] == SAFE_MESSAGE
        assert len(agent.requests) == 1


async def test_an_agent_that_fails_after_the_decision_is_asked_again(tmp_path: Path) -> None:
    async with shop() as (agent, config), gateway(tmp_path, more=config) as api:
        path = await api.conversation(assistant_id="shop")
        await api.turn(path, "a refund, please")
        agent.fail_next(AgentFault.SERVER_ERROR)
        await api.post(await pending(api, path), {"decision": "approve"})
        await eventually(lambda: after(api, path, "approve: None"))
        assert len({request.turn["turn_id"] for request in agent.requests}) == 1
        assert len(agent.requests) == 3


async def test_of_fifty_who_decide_at_once_one_wins(any_database_url: str | None, tmp_path: Path) -> None:
    async with shop() as (agent, config), gateway(tmp_path, any_database_url, more=config) as api:
        path = await api.conversation(assistant_id="shop")
        await api.turn(path, "a refund, please")
        place = await pending(api, path)
        made = [{"decision": "approve" if n % 2 else "reject", "note": f"decision {n}"} for n in range(50)]
        deciders = [api.as_(("root", "desk", "second")[n % 3]) for n in range(50)]
        answers = await asyncio.gather(
            *(by.post(place, body) for by, body in zip(deciders, made, strict=True))
        )
        (winner,) = [answer.json for answer in answers if answer.status == 200]
        assert {answer.error for answer in answers if answer.status != 200} == {(409, "already_resolved")}
        approved = winner["decision"] == "approve"
        last = f"approve: {winner['note']}" if approved else SAFE_MESSAGE
        texts = await eventually(lambda: after(api, path, last))
        assert texts == ["a refund, please", "I am checking that.", last]
        assert (await api.get(path)).json["status"] == ("active" if approved else "closed")
        assert len(agent.requests) == (2 if approved else 1)
        shown = (await api.get(f"/v1/hitl/approvals/{winner['id']}")).json
        assert shown == winner


async def test_what_nobody_decides_in_time_is_rejected(tmp_path: Path) -> None:
    held = {**HELD, "timeout_seconds": 1, "safe_message": "Not today."}
    agent = ScriptedHttpAgent([[held]])
    await agent.start()
    config = f'[agents.shop]\nkind = "http"\nurl = "{agent.url}"\n'
    async with gateway(tmp_path, more=config) as api:
        path = await api.conversation(assistant_id="shop")
        await api.turn(path, "a refund, please")
        await eventually(lambda: after(api, path, "Not today."))
        assert (await api.get(path)).json["status"] == "closed"
        (approval,) = (await api.get("/v1/hitl/approvals?status=timed_out")).json["items"]
        assert (approval["decision"], approval["decided_by"]) == ("reject", "timeout")
        assert approval["decided_at"] >= approval["timeout_at"]
    await agent.stop()
