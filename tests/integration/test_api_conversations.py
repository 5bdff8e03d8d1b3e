"""Conversations over HTTP: created, listed, read, closed, deleted."""

import asyncio
import re
from typing import Any

from gateway.settings import load_config
from tests.integration.api import V2, Api, Reply

NOWHERE = "550e8400-e29b-41d4-a716-446655440000"
OBJECT = {
    *("id", "organization_id", "end_user_id", "channel", "assistant_id", "status", "priority"),
    *("message_count", "started_at", "created_at", "updated_at", "origin", "external_session_id"),
    *("session_type", "subject", "assigned_agent_id", "pinned_revision_id", "retention_policy_id"),
    *("summary", "metadata", "context_variables", "first_message_at", "last_message_at", "ended_at"),
    *("closed_at", "ttl_expires_at", "retention_expires_at", "archived_at", "memory_synced"),
    *("duration_ms", "summary_preview", "has_recording", "eval_summary"),
}
DETAIL = OBJECT | {"recent_turns", "recording_url"}
NEVER_NULL = {
    *("id", "organization_id", "end_user_id", "channel", "status", "priority", "message_count"),
    *("started_at", "created_at", "updated_at", "session_type", "metadata", "context_variables"),
    *("memory_synced", "has_recording", "eval_summary", "recent_turns"),
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


async def created(api: Api, status: int = 201, **fields: Any) -> Any:
    """The answer to a create."""
    body = {"end_user_id": await api.person(), "channel": "api", **fields}
    answer = await api.post(V2, body)
    assert answer.status == status, answer.text
    return answer.json


async def test_a_new_conversation_has_every_key(any_api: Api) -> None:
    given: dict[str, Any] = {
        "assistant_id": "demo",
        "metadata": {"order": 1, "deep": [{"a": None}]},
        "context_variables": {"customer_name": "Alex"},
        "subject": "Order",
        "priority": "high",
        "origin": "inbound",
        "external_session_id": "s-1",
        "session_type": "test",
    }
    made = await created(any_api, **given, unknown="ignored")
    assert made.keys() == DETAIL
    assert not {key for key in NEVER_NULL if made[key] is None}
    assert {key: made[key] for key in given if key != "assistant_id"} == {
        key: value for key, value in given.items() if key != "assistant_id"
    }
    assert all(TIME.fullmatch(made[key]) for key in ("started_at", "created_at", "updated_at"))
    assert made["assistant_id"] == made["assigned_agent_id"]
    agents = {a["id"]: a for a in (await any_api.get("/v1/agents")).json["items"]}
    assert agents[made["assistant_id"]]["slug"] == "demo"
    assert agents[made["assistant_id"]]["revision_id"] == made["pinned_revision_id"]
    assert (made["status"], made["message_count"], made["recent_turns"]) == ("active", 0, [])
    assert made["eval_summary"] == {
        **dict.fromkeys(("total", "succeeded", "failed", "pending"), 0),
        **dict.fromkeys(("critical_total", "critical_succeeded", "critical_failed", "critical_pending"), 0),
        "eval_status": "none",
    }
    for prefix in (V2, "/v1/conversations"):
        assert (await any_api.get(f"{prefix}/{made['id']}")).json == made
    assert (await any_api.get(V2)).json["items"][0].keys() == OBJECT


async def test_the_default_agent_answers_unless_another_is_named(api: Api) -> None:
    config = load_config(api.app.settings.config_path, "localhost")
    assert (await created(api))["assistant_id"] == config.agents["steered"].id
    by_id = await created(api, assistant_id=config.agents["demo"].id)
    assert by_id["assistant_id"] == config.agents["demo"].id


CREATE_REFUSED: list[tuple[dict[str, Any], tuple[int, str]]] = [
    ({"end_user_id": NOWHERE}, (404, "end_user_not_found")),
    ({"assistant_id": "agt_01hx3k2mz9vbqwerty123456"}, (404, "agent_not_found")),
    ({"channel": "voice"}, (422, "use_voice_calls")),
    ({"channel": "sms"}, (422, "no_address")),
    ({"channel": "sms", "address": "+15550199"}, (422, "no_address")),
    ({"channel": "pigeon"}, (422, "validation_error")),
    ({"end_user_id": "user-1"}, (422, "validation_error")),
    ({"assistant_id": ""}, (422, "validation_error")),
    ({"assistant_id": "x" * 129}, (422, "validation_error")),
    ({"metadata": {"a": ["b\x00"]}}, (422, "validation_error")),
    ({"context_variables": {"b\x00": 1}}, (422, "validation_error")),
    ({"metadata": None}, (422, "validation_error")),
]


async def test_what_cannot_be_created(api: Api) -> None:
    person = await api.person()
    for fields, error in CREATE_REFUSED:
        body = {"end_user_id": person, "channel": "api", **fields}
        assert (await api.post(V2, body)).error == error, fields
    assert (await api.get(V2)).json["items"] == []


async def test_an_open_conversation_of_the_same_external_session_is_returned(any_api: Api) -> None:
    first = await created(any_api, external_session_id="s-1")
    again = await created(any_api, 200, external_session_id="s-1", first_message="Not said.")
    assert (again["id"], again["message_count"]) == (first["id"], 0)
    await any_api.post(f"{V2}/{first['id']}/close", {"reason": "resolved"})
    assert (await created(any_api, external_session_id="s-1"))["id"] != first["id"]


async def test_sms_has_one_open_conversation_and_the_agent_may_begin(any_api: Api) -> None:
    person = await any_api.person("+1 (415) 555-0123", "sms")
    body = {"end_user_id": person, "channel": "sms", "origin": "outbound", "first_message": "Hello!"}
    first = await any_api.post(V2, body)
    assert first.status == 201
    row = first.json["recent_turns"][0]
    assert (row["role"], row["authored_by"], row["content"]) == ("assistant", "agent", "Hello!")
    again = await any_api.post(V2, body)
    assert (again.status, again.json["id"], again.json["message_count"]) == (200, first.json["id"], 1)
    polled = (await any_api.get(f"{V2}/{first.json['id']}/messages?since_seq=-1")).json["messages"][0]
    assert polled["delivery_status"] in ("pending", "sending", "sandboxed")


async def test_test_chat_has_an_end_user_of_its_own(api: Api) -> None:
    first = await api.post(f"{V2}/test-chat")
    second = await api.post("/v1/conversations/test-chat", {"assistant_id": "demo"})
    assert (first.status, second.status) == (201, 201)
    assert first.json["session_type"] == "test"
    assert first.json["end_user_id"] != second.json["end_user_id"]
    assert (await api.turn(f"{V2}/{second.json['id']}", "Hi")).json["text"] == "You said: Hi"


async def test_lists_go_page_by_page_newest_first(any_api: Api) -> None:
    made = [(await created(any_api, priority=p))["id"] for p in ("low", "normal", "high", "urgent", "low")]
    newest_first = made[::-1]
    seen, cursor, pages = [], None, []
    while True:
        at = f"&cursor={cursor}" if cursor else ""
        page = (await any_api.get(f"{V2}?limit=2{at}")).json
        assert page.keys() == {"items", "has_more", "next_cursor"}
        seen += [item["id"] for item in page["items"]]
        pages.append(page["has_more"])
        cursor = page["next_cursor"]
        if not page["has_more"]:
            break
    assert (seen, pages) == (newest_first, [True, True, False])
    after_the_end = (await any_api.get(f"{V2}?cursor={cursor}")).json
    assert after_the_end == {"items": [], "has_more": False, "next_cursor": cursor}


async def test_lists_are_filtered(any_api: Api) -> None:
    first = await created(any_api, priority="low")
    second = await created(any_api, assistant_id="demo", session_type="test", channel="web")
    other = await created(any_api, end_user_id=await any_api.person("user-2"))
    await any_api.post(f"{V2}/{first['id']}/close")

    async def found(query: str) -> list[str]:
        answer = await any_api.get(f"{V2}?{query}")
        assert answer.status == 200, answer.text
        return [item["id"] for item in answer.json["items"]]

    assert await found("status=closed") == [first["id"]]
    assert await found("status=active") == [other["id"], second["id"]]
    assert await found("status=active&status=closed") == [other["id"], second["id"], first["id"]]
    assert await found("channel=web") == [second["id"]]
    assert await found("priority=low") == [first["id"]]
    assert await found("session_type=test") == [second["id"]]
    assert await found(f"end_user_id={first['end_user_id']}") == [second["id"], first["id"]]
    assert await found("assigned_agent_id=demo") == [second["id"]]
    assert await found(f"assigned_agent_id={second['assistant_id']}") == [second["id"]]
    assert await found("assigned_agent_id=nobody") == []
    start = second["started_at"]
    assert await found(f"started_after={start}") == [other["id"], second["id"]]
    assert await found(f"started_before={start}") == [first["id"]]


LIST_REFUSED = [
    ("cursor=nonsense", (400, "invalid_cursor")),
    ("cursor=" + "A" * 400, (400, "invalid_cursor")),
    ("cursor=czE", (400, "invalid_cursor")),
    ("limit=0", (422, "validation_error")),
    ("limit=201", (422, "validation_error")),
    ("status=lost", (422, "validation_error")),
    ("started_after=yesterday", (422, "validation_error")),
    ("started_after=2024-05-14T12:00:00", (422, "validation_error")),
    ("assigned_agent_id=%00", (422, "validation_error")),
    ("end_user_id=1", (422, "validation_error")),
]


async def test_lists_refuse_what_they_cannot_read(api: Api) -> None:
    for query, error in LIST_REFUSED:
        assert (await api.get(f"{V2}?{query}")).error == error, query


async def test_close_once_then_delete(any_api: Api) -> None:
    path = await any_api.conversation()
    await any_api.turn(path, "Hi")
    assert (await any_api.call("DELETE", path)).error == (409, "conversation_not_closed")
    closed = await any_api.as_("app").post(f"{path}/close", {"reason": "resolved"})
    assert (closed.status, closed.json["status"]) == (200, "closed")
    assert closed.json.keys() == DETAIL
    assert TIME.fullmatch(closed.json["closed_at"])
    assert closed.json["duration_ms"] >= 0
    again = (await any_api.post(f"{path}/close")).json  # the summary may have been written meanwhile
    assert [again[name] for name in ("id", "status", "closed_at", "duration_ms")] == [
        closed.json[name] for name in ("id", "status", "closed_at", "duration_ms")
    ]
    assert (await any_api.turn(path, "Still there?")).error == (409, "conversation_closed")
    assert (await any_api.stream(path, "Still there?")).error == (409, "conversation_closed")
    assert (await any_api.as_("desk").call("DELETE", path)).error == (403, "forbidden")
    deleted = await any_api.call("DELETE", path)
    assert (deleted.status, deleted.text) == (204, "")
    for method, place in (("GET", ""), ("GET", "/turns"), ("GET", "/messages"), ("DELETE", "")):
        assert (await any_api.call(method, path + place)).error == (404, "not_found")


async def test_end_session_answers_the_turn_result(any_api: Api) -> None:
    made = await created(any_api)
    path = f"{V2}/{made['id']}/end_session"
    body = {"session_id": made["id"], "end_user_id": made["end_user_id"], "farewell_text": "ignored"}
    assert (await any_api.post(path, {**body, "session_id": NOWHERE})).error == (422, "session_mismatch")
    assert (await any_api.post(path, {**body, "end_user_id": NOWHERE})).error == (422, "session_mismatch")
    assert (await any_api.post(path, {"end_user_id": NOWHERE})).error == (422, "validation_error")
    assert (await any_api.as_("desk").post(path, body)).error == (403, "forbidden")
    assert (await any_api.get(f"{V2}/{made['id']}")).json["status"] == "active"
    expected = {
        "session_id": made["id"],
        "messages": [],
        "status": "ended",
        "handoff": None,
        "call_transfer": None,
        "dtmf_input": None,
        "session_status": "closed",
        "error": None,
        "model_used": None,
        "token_count": None,
        "latency_ms": None,
    }
    for _ in range(2):
        assert (await any_api.post(path, body)).json == expected


async def test_another_organisations_things_are_not_there(api: Api) -> None:
    path = await api.conversation()
    person = await api.person()
    they = api.as_("other")
    for method, place in (
        ("GET", path),
        ("GET", f"{path}/turns"),
        ("GET", f"{path}/messages"),
        ("DELETE", path),
        ("POST", f"{path}/close"),
        ("GET", f"/v1/identity/end-users/{person}"),
    ):
        assert (await they.call(method, place)).error == (404, "not_found")
    assert (await they.turn(path, "Hi")).error == (404, "not_found")
    assert (await they.stream(path, "Hi")).error == (404, "not_found")
    assert (await they.post(f"{path}/human-turns", {"content": "Hi"})).error == (404, "not_found")
    assert (await they.get(V2)).json["items"] == []
    assert (await they.get("/v1/agents")).json["items"] == []
    assert (await they.post(V2, {"end_user_id": person, "channel": "api"})).error == (422, "no_default_agent")
    assert (await api.get(path)).json["status"] == "active"


async def test_an_identifier_that_is_none(api: Api) -> None:
    for channel, identifier in (("sms", "415 555"), ("email", "nobody"), ("api", ""), ("web", "x" * 256)):
        body = {"channel": channel, "identifier": identifier}
        assert (await api.post("/v1/identity/resolve", body)).error == (422, "invalid_identifier")


async def test_an_address_resolves_to_one_person(any_api: Api) -> None:
    async def resolve(channel: str, identifier: str) -> Any:
        body = {"channel": channel, "identifier": identifier}
        return (await any_api.post("/v1/identity/resolve", body)).json

    first = await resolve("sms", "+14155550123")
    assert first.keys() == {"end_user_id", "created", "profile", "contacts"}
    assert (first["created"], first["profile"]) == (True, {})
    again = await resolve("voice", "+1 415-555-0123")
    assert again == {**first, "created": False}
    contact = first["contacts"][0]
    assert contact.keys() == {"channel", "value", "verified", "source", "created_at"}
    assert (contact["channel"], contact["value"]) == ("sms", "+14155550123")
    known = (await any_api.get(f"/v1/identity/end-users/{first['end_user_id']}")).json
    assert (known["end_user_id"], known["contacts"]) == (first["end_user_id"], first["contacts"])
    assert (await any_api.get(f"/v1/identity/end-users/{NOWHERE}")).error == (404, "not_found")


async def test_a_hundred_at_once_resolve_to_one_person(any_api: Api) -> None:
    body = {"channel": "email", "identifier": "Ann@Example.ORG"}

    async def resolve() -> Reply:
        """As a client does: what cannot be taken for now, for want of a connection, is asked again."""
        while (answer := await any_api.post("/v1/identity/resolve", body)).status == 503:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        return answer

    answers = await asyncio.gather(*(resolve() for _ in range(100)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["end_user_id"] for answer in answers}) == 1
    assert [answer.json["created"] for answer in answers].count(True) == 1
