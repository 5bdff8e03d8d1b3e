"""A refund by SMS: a policy parks it, the process is killed, an operator approves, the tool runs once."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from channels.twilio.fake import FakeTwilio
from gateway.domain.crash_point import CrashPoint
from tests.acceptance.conftest import until
from tests.deployments import ACCOUNT, OPERATOR, TOKEN, Deployment, World, embedded
from workers.agents.fake_openai import Call, ModelFault, ModelRequest, Say, ScriptedModel

ANSWER = "An answer of quite a few words."
PATIENCE = 120.0
"""Seconds: a busy machine takes half a minute to load the libraries of a provider."""
OURS, THEIRS = "+15550100", "+15550142"
CONFIG = """
[organisation]
name = "Example"

[[addresses]]
channel = "sms"
address = "+15550100"

[agents.desk]
kind = "llm"
model = "openai:fake-model"
base_url = "{url}"
tools = ["tests.shop:refund_order"]

[[agents.desk.policies]]
tool = "refund_order"
action = "require_approval"
suspend_message = "I am asking a colleague."
safe_message = "We cannot refund that."
"""


def model_says(asked: ModelRequest) -> Say:
    """Refund what is asked for, and say what the tool said; two calls never have the same id."""
    last = asked.messages[-1]
    if last["role"] == "tool":
        return f"Done: {last['content']}"
    if "refund" in last["content"]:
        return Call("refund_order", {"order": int(last["content"].split()[-1])})
    return ANSWER


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop's gateway, its model, its phone company and its ledger."""

    deployment: Deployment
    twilio: FakeTwilio
    model: ScriptedModel
    http: aiohttp.ClientSession
    ledger: Path

    async def operator(self, method: str, path: str, body: object = None) -> Any:
        """A request of somebody who works there."""
        headers = {"x-api-key": OPERATOR}
        async with self.http.request(
            method, self.deployment.url + path, json=body, headers=headers
        ) as response:
            assert response.status in (200, 201), await response.text()
            return await response.json()

    async def ask(self, path: str, text: str) -> tuple[int, str]:
        """A turn by API: status and body."""
        url, headers = self.deployment.url + path, {"x-api-key": OPERATOR}
        async with self.http.post(url, json={"user_message": text}, headers=headers) as response:
            return response.status, await response.text()

    async def texts(self, count: int) -> list[str]:
        """What the customer has received, once it is that much."""

        async def enough() -> list[str] | None:
            found = [text.body for text in self.twilio.by_pair(THEIRS, OURS)]
            return found if len(found) >= count else None

        return await until(enough, f"{count} texts", timeout=PATIENCE)

    async def approval(self) -> Any:
        """What waits for a decision."""

        async def pending() -> Any:
            return (await self.operator("GET", "/v1/hitl/approvals?status=pending"))["items"] or None

        (found,) = await until(pending, "an approval", timeout=PATIENCE)
        return found

    async def decide(self, approval: Any, decision: str) -> None:
        place = f"/v1/conversations/{approval['conversation_id']}/approvals/{approval['id']}/resolve"
        assert (await self.operator("POST", place, {"decision": decision}))["status"] != "pending"

    async def restart(self, crash_at: str = "") -> None:
        """The process is killed, if it lives, and starts again."""
        (process,) = self.deployment.named("dev")
        if process.running:
            await process.kill()
        process.environment["GATEWAY_CRASH_AT"] = crash_at
        await process.start()

    def refunded(self) -> list[str]:
        """The orders in the ledger, one for each call that was made."""
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        return [line.split()[0] for line in lines]


@asynccontextmanager
async def open_shop(tmp_path: Path) -> AsyncIterator[Shop]:
    twilio, model = FakeTwilio(ACCOUNT, TOKEN), ScriptedModel(model_says)
    twilio_url, model_url = await twilio.start(), await model.start()
    ledger = tmp_path / "refunds"
    try:
        async with (
            embedded(
                tmp_path / "gateway",
                World(twilio_url),
                config=CONFIG.format(url=model_url),
                SHOP_LEDGER=str(ledger),
            ) as deployment,
            aiohttp.ClientSession() as http,
        ):
            twilio.webhook_url = deployment.url
            yield Shop(deployment, twilio, model, http, ledger)
    finally:
        await model.stop()
        await twilio.stop()


@pytest.mark.timeout(480)
async def test_a_refund_survives_every_crash_and_is_made_once(tmp_path: Path) -> None:
    async with open_shop(tmp_path) as shop:
        answer = await shop.twilio.text(THEIRS, OURS, "please refund order 17")
        assert answer.status == 200
        assert await shop.texts(1) == ["I am asking a colleague."]
        approval = await shop.approval()
        assert (approval["subject_ref"], approval["payload"]["arguments"]) == ("refund_order", {"order": 17})
        assert shop.refunded() == []
        # killed while it waits; and again when the refund is made and the answer not yet stored
        await shop.restart(CrashPoint.TURN_ANSWERED)
        await shop.decide(approval, "approve")
        (process,) = shop.deployment.named("dev")
        assert await process.ended(PATIENCE) == -9
        await shop.restart()
        second = (await shop.texts(2))[1]
        assert second == 'Done: {"refunded":17}'
        assert shop.refunded() == ["17"]
        turn_ids = await turns_of(shop, approval["conversation_id"])
        assert len(turn_ids) == 1

        await shop.twilio.text(THEIRS, OURS, "please refund order 18")
        assert (await shop.texts(3))[2] == "I am asking a colleague."
        await shop.decide(await shop.approval(), "reject")
        assert (await shop.texts(4))[3] == "We cannot refund that."
        assert shop.refunded() == ["17"]


@pytest.mark.timeout(480)
async def test_an_answer_that_breaks_off_reaches_nobody(tmp_path: Path) -> None:
    """A text is answered by the next attempt; who asks by API is told, and half an answer is never kept."""
    async with open_shop(tmp_path) as shop:
        shop.model.fail_next(ModelFault.DISCONNECT)
        await shop.twilio.text(THEIRS, OURS, "hello")
        assert await shop.texts(1) == [ANSWER]
        person = await shop.operator("POST", "/v1/identity/resolve", {"channel": "api", "identifier": "ada"})
        body = {"end_user_id": person["end_user_id"], "channel": "api"}
        conversation = await shop.operator("POST", "/v1/conversations", body)
        turns = f"/v1/conversations/{conversation['id']}/turns"
        for fault in (ModelFault.DISCONNECT, ModelFault.NO_END):
            shop.model.fail_next(fault)
            status, answer = await shop.ask(turns, "hello")
            assert (status, json.loads(answer)["error"]) == (502, "agent_failed")
        shop.model.fail_next(ModelFault.DISCONNECT)
        status, stream = await shop.ask(f"{turns}/stream", "hello")
        assert (status, stream.count("event: error"), stream.count("event: complete")) == (200, 1, 0)
        assert '"error":"agent_failed"' in stream.replace(" ", "")
        status, answer = await shop.ask(turns, "hello")
        assert (status, json.loads(answer)["text"]) == (200, ANSWER)
        place = f"/v1/conversations/{conversation['id']}/messages?since_seq=-1"
        messages = (await shop.operator("GET", place))["messages"]
        assert [m["role"] for m in messages] == ["user"] * 4 + ["assistant"]
        assert (messages[-1]["model_used"], messages[-1]["token_count"]["output_tokens"]) == ("fake-model", 8)
        assert messages[-1]["latency_ms"] is not None
        assert await shop.texts(1) == [ANSWER]


async def turns_of(shop: Shop, conversation_id: str) -> set[str]:
    """The turns of a conversation's messages; the call and its result are on the last of them."""
    found = await shop.operator("GET", f"/v1/conversations/{conversation_id}/messages?since_seq=-1")
    messages = found["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant", "assistant"]
    (call,) = messages[2]["tool_calls"]
    assert (call["name"], call["output"]) == ("refund_order", {"refunded": 17})
    assert messages[1]["metadata"]["policies"][0]["policy"] == "tool:refund_order"
    assert messages[2]["model_used"] == "fake-model"
    return {m["turn_id"] for m in messages}
