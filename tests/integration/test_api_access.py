"""Who may do what: other organisations' ids, web tokens, origins, and how often a key may ask."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.api.rate import RateLimiter
from gateway.api.web_tokens import PREFIX, WebToken, WebTokens
from gateway.domain.clock import SECOND, Clock
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.ids import new_id
from tests.integration.api import V2, Api, Reply, gateway

OPEN = {"/healthz", "/readyz", "/metrics"}
SHOP = "https://shop.example"
MORE = """
[channels.web]
origins = ["https://shop.example", "http://localhost:5173"]
"""
BODIES: Mapping[str, Any] = {
    "turns": {"user_message": "hello"},
    "stream": {"user_message": "hello"},
    "human-turns": {"content": "hello", "take_over": True},
    "resolve": {"decision": "approve"},
    "messages": {"content": "hello"},
    "contacts": {"channel": "sms", "value": "+14155550199"},
    "merge": {"from_end_user_id": new_id()},
    "{end_user_id}": {"profile": {}},
    "simulations": {"script": [{"user": "hello"}]},
    "redeliver": {"event_id": new_id()},
    "{conversation_id}": {"text": "hello"},
}
"""What a route of this last part of its path is sent where the document has no example."""


class Operation:
    """One operation of the OpenAPI document, with ids put into its path."""

    def __init__(self, method: str, template: str, operation: Mapping[str, Any]) -> None:
        self.method = method
        self.template = template
        self.has_body = "requestBody" in operation

    @property
    def takes_an_id(self) -> bool:
        """Whether its path has a parameter."""
        return "{" in self.template

    def path(self, ids: Mapping[str, str]) -> str:
        """With the ids; one that is not known is an id that nothing has."""
        parts = [
            ids.get(part[1:-1], new_id()) if part.startswith("{") else part
            for part in self.template.split("/")
        ]
        return "/".join(parts)

    def body(self, ids: Mapping[str, str]) -> Any:
        """One that is valid."""
        last = self.template.rsplit("/", 1)[-1]
        if last == "end_session":
            return {"session_id": ids["conversation_id"], "end_user_id": ids["end_user_id"]}
        return BODIES.get(last, {})


async def operations(api: Api) -> list[Operation]:
    """All that the document lists."""
    document = (await api.get("/openapi.json")).json
    return [
        Operation(method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


async def stop_reading(api: Api, operation: Operation, path: str, **more: Any) -> tuple[int, str]:
    """Status and code of an answer, which must be an error: a stream that begins would never end."""
    async with asyncio.timeout(60):
        if operation.has_body and "json" not in more:
            more["data"] = b"{}"
        answer = await api.call(operation.method, path, **more)
    assert answer.status >= 400, (operation.method, path, answer.text[:200])
    return answer.error


async def everything(api: Api) -> dict[str, str]:
    """One of each thing that has an id, by the name of its parameter in a path."""
    conversation = await api.conversation()
    made = (await api.get(conversation)).json
    await api.turn(conversation, "pay")
    approval = (await api.get("/v1/hitl/approvals")).json["items"][0]
    other = await api.conversation()
    await api.post(f"{other}/human-turns", {"content": "mine", "take_over": True})
    handoff = (await api.get("/v1/hitl/handoffs")).json["items"][0]
    return {
        "conversation_id": made["id"],
        "end_user_id": made["end_user_id"],
        "approval_id": approval["id"],
        "handoff_id": handoff["id"],
        "agent_id": made["assistant_id"],
    }


async def test_another_organisations_ids_are_unknown_on_every_route(any_api: Api) -> None:
    ids = await everything(any_api)
    stranger = any_api.as_("other")
    before = (await any_api.get(f"{V2}/{ids['conversation_id']}")).json
    asked = 0
    for operation in await operations(any_api):
        if not operation.takes_an_id:
            continue
        path = operation.path(ids)
        body = {"json": operation.body(ids)} if operation.has_body else {}
        error = await stop_reading(stranger, operation, path, **body)
        assert error[0] == 404, (operation.method, path, error)
        nowhere = {name: new_id() for name in ids}
        same = {"json": operation.body(nowhere)} if operation.has_body else {}
        unknown = await stop_reading(stranger, operation, operation.path(nowhere), **same)
        assert error == unknown, (operation.method, path)
        asked += 1
    assert asked >= 20
    body = {"end_user_id": ids["end_user_id"], "channel": "api"}
    assert (await stranger.post(V2, body)).error[0] in (404, 422)  # theirs has no agents
    assert (await stranger.post("/v1/web-tokens", {"conversation_id": ids["conversation_id"]})).error[
        0
    ] == 404
    assert (await any_api.get(f"{V2}/{ids['conversation_id']}")).json == before


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Api]:
    """A gateway with a web chat."""
    async with gateway(tmp_path, more=MORE) as running:
        yield running


def bearer(token: str, **more: str) -> dict[str, str]:
    """The headers of a page in a browser."""
    return {"Authorization": f"Bearer {token}", **more}


async def visitor(api: Api, **body: Any) -> tuple[Api, str, dict[str, str]]:
    """A browser without a key, the path of its conversation, and its headers."""
    made = await api.post("/v1/web-tokens", body or {"end_user_id": await api.person()})
    assert made.status == 201, made.text
    return api.as_(None), f"{V2}/{made.json['conversation_id']}", bearer(made.json["token"])


async def test_a_browser_talks_in_its_conversation(shop: Api) -> None:
    page, path, headers = await visitor(shop.as_("app"))
    answer = await page.turn(path, "evidence", headers=headers)
    assert answer.json["text"] == "Re: evidence."
    retried = {**headers, "Idempotency-Key": "again"}
    first = await page.turn(path, "hello", headers=retried)
    assert (await page.turn(path, "hello", headers=retried)).json == first.json
    streamed = await page.stream(path, "more", headers=headers)
    assert [name for name, _ in streamed.events][-1] == "complete"
    polled = (await page.get(f"{path}/messages", headers=headers)).json
    assert [m["content"] for m in polled["messages"]][:2] == ["evidence", "Re: evidence."]
    assert all(m["evidence"] == [] and m["token_count"] is None for m in polled["messages"])
    whole = (await shop.get(f"{path}/messages")).json
    assert whole["messages"][1]["evidence"]
    assert whole["messages"][1]["token_count"]
    full = {"user_message": "evidence", "include_evidence": True, "evidence_view": "full"}
    shown = await page.post(f"{path}/turns", full, headers=headers)
    assert shown.json["evidence"]["view"] == "display"
    closed = await page.post(f"{path}/close", {}, headers=headers)
    assert closed.json["status"] == "closed"
    assert closed.json["recent_turns"][0]["evidence"] == []
    assert (await page.turn(path, "x", headers=headers)).error == (409, "conversation_closed")


async def test_a_browser_is_not_given_a_keys_answer_nor_the_other_way_round(shop: Api) -> None:
    page, path, headers = await visitor(shop)
    body = {"user_message": "evidence", "include_evidence": True, "evidence_view": "full"}
    same = {"Idempotency-Key": "same"}
    whole = await shop.post(f"{path}/turns", body, headers=same)
    shown = await page.post(f"{path}/turns", body, headers={**headers, **same})
    assert (whole.json["evidence"]["view"], shown.json["evidence"]["view"]) == ("full", "display")
    assert "Idempotency-Replayed" not in shown.headers
    assert shown.json["turn_id"] != whole.json["turn_id"]
    for again, first in (
        (await shop.post(f"{path}/turns", body, headers=same), whole),
        (await page.post(f"{path}/turns", body, headers={**headers, **same}), shown),
    ):
        assert (again.json, again.headers["Idempotency-Replayed"]) == (first.json, "true")


async def test_a_browser_follows_its_conversation(shop: Api) -> None:
    page, path, headers = await visitor(shop)
    await page.turn(path, "pay", headers=headers)
    await shop.post(f"{path}/close")
    whole = await shop.get(f"{path}/events", headers={"Last-Event-ID": "0"})
    seen = await page.get(f"{path}/events", headers={**headers, "Last-Event-ID": "0"})
    assert "approval" in kinds(whole)
    assert kinds(seen) == [name for name in kinds(whole) if name in ("message", "status")]


def kinds(answer: Reply) -> list[str]:
    """The names of a stream's events."""
    lines = answer.text.splitlines()
    return [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]


async def test_a_conversation_shows_a_browser_nothing_of_the_business(shop: Api) -> None:
    secret = {"context_variables": {"rating": "bad"}, "metadata": {"note": "hm"}, "external_session_id": "x"}
    path = await shop.conversation(**secret)
    page, _, headers = await visitor(shop, conversation_id=path.rsplit("/", 1)[-1])
    closed = await page.post(f"{path}/close", headers=headers)
    assert (closed.json["context_variables"], closed.json["metadata"]) == ({}, {})
    assert closed.json["external_session_id"] is None


async def test_one_end_user_has_one_open_web_chat(shop: Api) -> None:
    _, first, headers = await visitor(shop)
    _, second, _ = await visitor(shop)
    assert first == second
    assert (await shop.get(first)).json["channel"] == "web"
    await shop.as_(None).post(f"{first}/close", headers=headers)
    _, third, _ = await visitor(shop)
    assert third != first


async def test_a_web_token_opens_nothing_else(shop: Api) -> None:
    page, path, headers = await visitor(shop)
    own = path.rsplit("/", 1)[-1]
    ids = {**await everything(shop), "own": own}
    allowed = {"turns", "stream", "messages", "events", "close"}
    refused = 0
    for operation in await operations(shop):
        if operation.template in OPEN:
            continue
        body = {"json": operation.body(ids)} if operation.has_body else {}
        error = await stop_reading(page, operation, operation.path(ids), headers=headers, **body)
        assert error[0] in (401, 403), (operation.method, operation.template, error)
        refused += 1
        last = operation.template.rsplit("/", 1)[-1]
        mine = "conversation_id" in operation.template and last in allowed
        if operation.takes_an_id and not (mine and (operation.method, last) != ("GET", "turns")):
            with_own = operation.path({**ids, "conversation_id": own})
            error = await stop_reading(page, operation, with_own, headers=headers, **body)
            assert error[0] in (401, 403), (operation.method, with_own, error)
    assert refused > 30
    for place in ("/openapi.json", "/docs"):
        assert (await page.get(place, headers=headers)).status == 401


async def test_what_is_no_token(shop: Api) -> None:
    page, path, headers = await visitor(shop)
    token = headers["Authorization"].removeprefix("Bearer ")
    end = "A" if token[-1] != "A" else "B"
    for wrong in ("", token[:-1], token[:-1] + end, token + "A", PREFIX, "root", "ü" * 100, token[4:]):
        given = {"Authorization": f"Bearer {wrong}"}
        assert (await page.get(f"{path}/messages", headers=given)).error == (401, "unauthorized"), wrong
    both = await shop.as_("wrong").get(f"{path}/messages", headers=headers)
    assert both.error == (401, "unauthorized")


async def test_tokens_are_made_for_open_web_conversations_only(shop: Api) -> None:
    app = shop.as_("app")
    closed = await shop.conversation()
    await shop.post(f"{closed}/close")
    mail = await shop.conversation(channel="email", end_user_id=await shop.person("a@b.example", "email"))
    for body, error in (
        ({"conversation_id": closed.rsplit("/", 1)[-1]}, (409, "conversation_closed")),
        ({"conversation_id": mail.rsplit("/", 1)[-1]}, (422, "validation_error")),
        ({"conversation_id": new_id()}, (404, "not_found")),
        ({"end_user_id": new_id()}, (404, "end_user_not_found")),
        ({"end_user_id": await shop.person(), "ttl_seconds": 86_401}, (422, "validation_error")),
        ({"ttl_seconds": 60}, (422, "validation_error")),
    ):
        assert (await app.post("/v1/web-tokens", body)).error == error, body


async def test_a_token_ends(api: Api) -> None:
    now = 1_000_000 * SECOND
    tokens = WebTokens(api.app.store, Clock(now=lambda: now))
    await tokens.prepare()
    made = WebToken(new_id(), new_id())
    text, ends = tokens.make(made, 60)
    assert ends == now + 60 * SECOND
    now = ends - 1
    assert await tokens.read(text) == made
    now = ends
    assert await tokens.read(text) is None
    other_process = WebTokens(api.app.store, Clock(now=lambda: ends - 1))
    assert await other_process.read(text) == made


PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


async def test_pages_of_named_origins_may_ask(shop: Api) -> None:
    page, path, headers = await visitor(shop)
    allowed = await page.call("OPTIONS", f"{path}/turns", headers={"Origin": SHOP, **PREFLIGHT})
    assert allowed.status == 204
    assert allowed.headers["Access-Control-Allow-Origin"] == SHOP
    assert "authorization" in allowed.headers["Access-Control-Allow-Headers"]
    assert "x-api-key" not in allowed.headers["Access-Control-Allow-Headers"].lower()
    assert "Access-Control-Allow-Credentials" not in allowed.headers
    for place, status in ((f"{path}/messages", 200), (f"{path}/nowhere", 404), (V2, 403)):
        answer = await page.get(place, headers={**headers, "Origin": SHOP})
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (status, SHOP)
        assert "Origin" in answer.headers["Vary"]
    streamed = await page.stream(path, "hi", headers={**headers, "Origin": SHOP})
    assert streamed.headers["Access-Control-Allow-Origin"] == SHOP


async def test_pages_of_other_origins_may_not(shop: Api, tmp_path: Path) -> None:
    page, path, headers = await visitor(shop)
    for origin in (
        "https://shop.example.evil.test",
        "http://shop.example",
        "null",
        "https://SHOP.example",
        "*",
    ):
        answer = await page.get(f"{path}/messages", headers={**headers, "Origin": origin})
        assert answer.status == 200
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Origin" in answer.headers["Vary"]
        refused = await page.call("OPTIONS", f"{path}/turns", headers={"Origin": origin, **PREFLIGHT})
        assert refused.error == (405, "method_not_allowed")


async def test_without_origins_nothing_is_said_of_them(api: Api) -> None:
    answer = await api.get("/v1/agents", headers={"Origin": SHOP})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Vary" not in answer.headers


async def test_a_key_that_asks_too_often_waits(tmp_path: Path) -> None:
    async with gateway(tmp_path, organisation="rate_limit = 1\nrate_burst = 5") as api:
        for _ in range(5):
            assert (await api.get("/v1/agents")).status == 200
        async with asyncio.timeout(60):
            while (refused := await api.get("/v1/agents")).status == 200:
                pass  # a busy machine is slow to ask more than once a second
            assert refused.error == (429, "rate_limited")
            assert refused.headers["Retry-After"] == "1"
            assert (await api.as_("app").get("/v1/agents")).status == 200
            assert (await api.get("/healthz")).status == 200
            while (await api.get("/v1/agents")).status != 200:  # noqa: ASYNC110 - there is no event over HTTP
                await asyncio.sleep(0.1)


def test_a_bucket_fills_as_fast_as_is_allowed() -> None:
    now = 0.0
    limiter = RateLimiter(Clock(monotonic=lambda: now), lambda: (4, 8))

    def taken(key: str) -> int:
        return next(count for count in range(100) if not let_in(key))

    def let_in(key: str) -> bool:
        try:
            limiter.take(key)
        except GatewayError as error:
            return error.code is not ErrorCode.RATE_LIMITED
        return True

    assert taken("a") == 8
    assert taken("a") == 0
    now = 0.25
    assert taken("a") == 1
    now = 1.5
    assert taken("a") == 5
    assert taken("b") == 8
    now = 1000
    assert taken("a") == 8
