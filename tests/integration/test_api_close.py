"""After the end of a conversation, over HTTP: summary, memory, analytics; simulations and their reports."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.integration.api import V2, Api
from tests.integration.api_agents import Steering


async def until(look: Callable[[], Awaitable[Any]], wanted: Callable[[Any], bool]) -> Any:
    """What `look` finds once it is as wanted; at most a minute."""
    async with asyncio.timeout(60):
        while not wanted(found := await look()):  # noqa: ASYNC110 - there is no event over HTTP
            await asyncio.sleep(0.05)
    return found


async def summed_up(api: Api, path: str) -> dict[str, Any]:
    async def look() -> Any:
        return (await api.get(path)).json

    found: dict[str, Any] = await until(look, lambda c: bool(c["memory_synced"]))
    return found


async def test_a_closed_conversation_is_summed_up_and_remembered(any_api: Api, steering: Steering) -> None:
    path = await any_api.conversation()
    await any_api.turn(path, "Where is my order?")
    closed = (await any_api.post(f"{path}/close", {"reason": "resolved"})).json
    assert (closed["status"], closed["retention_expires_at"]) == ("closed", None)
    ended = await summed_up(any_api, path)
    assert "Asked: “Where is my order?”" in ended["summary"]
    assert "Re: Where is my order?." in ended["summary"]
    assert ended["summary_preview"] == ended["summary"][:200]
    await any_api.turn(await any_api.conversation(), "And now?")
    (memory,) = steering.asked[-1].memory
    assert (memory["text"], memory["conversation_id"]) == (ended["summary"], ended["id"])
    answer = await any_api.as_("desk").get("/v1/analytics/summary")
    assert answer.status == 200
    totals = answer.json["total"]
    assert (totals["conversations"], totals["messages"], totals["turns"]) == (1, 2, 1)
    assert (totals["input_tokens"], totals["output_tokens"]) == (3, 4)
    assert answer.json["by_channel"] == {"api": totals}
    assert answer.json["by_status"] == {"closed": totals}
    (day,) = answer.json["by_day"]
    assert {**totals, "day": answer.json["last_day"]} == day


async def test_analytics_are_for_operators_and_their_own_organisation(api: Api) -> None:
    path = await api.conversation()
    await api.post(f"{path}/close")
    await summed_up(api, path)
    assert (await api.as_("app").get("/v1/analytics/summary")).error == (403, "forbidden")
    assert (await api.as_("other").get("/v1/analytics/summary")).json["total"]["conversations"] == 0
    for query in (
        "first_day=2026-02-02&last_day=2026-02-01",
        "first_day=2020-01-01",
        "first_day=x",
        "last_day=0.0",
    ):
        answer = await api.get(f"/v1/analytics/summary?{query}")
        assert answer.error == (422, "validation_error")
    old = (await api.get("/v1/analytics/summary?first_day=1970-01-01&last_day=1970-01-01")).json
    assert old["total"]["average_duration_ms"] is None


async def test_a_test_conversation_leaves_nothing_behind(api: Api) -> None:
    answer = await api.post(f"{V2}/test-chat")
    path = f"{V2}/{answer.json['id']}"
    await api.turn(path, "Hi")
    await api.post(f"{path}/close")
    live = await api.conversation()
    await api.post(f"{live}/close")
    await summed_up(api, live)
    ended = (await api.get(path)).json
    assert (ended["summary"], ended["memory_synced"]) == (None, False)
    assert (await api.get("/v1/analytics/summary")).json["total"]["conversations"] == 1
    assert (await api.get(f"/v1/identity/end-users/{ended['end_user_id']}")).status == 404


async def test_a_sandboxed_text_conversation_is_not_joined_by_the_person(api: Api) -> None:
    person = await api.person("+14155550123", "sms")
    body = {"end_user_id": person, "channel": "sms", "first_message": "Hello"}
    tests = [await api.post(V2, {**body, "session_type": "test"}) for _ in range(2)]
    live = await api.post(V2, body)
    assert [t.status for t in (*tests, live)] == [201, 201, 201]
    assert len({t.json["id"] for t in (*tests, live)}) == 3


SCRIPT = [
    {"user": "Hello", "expect": {"contains": "Re: Hello", "path": "single", "session_status": "active"}},
    {"user": "More", "expect": {"contains": ["Re:"], "not_contains": ["More"]}},
]


async def reported(api: Api, agent: str, simulation_id: str) -> dict[str, Any]:
    async def look() -> Any:
        return (await api.get(f"/v1/agents/{agent}/simulations/{simulation_id}")).json

    found: dict[str, Any] = await until(look, lambda r: r["status"] != "running")
    return found


async def test_a_simulation_is_replayed_and_reported(any_api: Api, steering: Steering) -> None:
    reports = []
    for _ in range(2):
        begun = await any_api.post("/v1/agents/steered/simulations", {"script": SCRIPT})
        assert (begun.status, begun.json["status"]) == (202, "running")
        assert [t["status"] for t in begun.json["turns"]] == ["pending", "pending"]
        reports.append(await reported(any_api, begun.json["agent_id"], begun.json["id"]))
    first, second = reports
    assert first["turns"] == second["turns"]
    assert first["status"] == "failed"
    assert [t["status"] for t in first["turns"]] == ["passed", "failed"]
    assert first["turns"][1]["misses"] == ["the reply contains 'More'"]
    assert steering.asked[-1].session_type == "simulation"
    path = f"{V2}/{first['conversation_id']}"
    played = (await any_api.get(path)).json
    assert (played["status"], played["session_type"]) == ("closed", "simulation")
    assert [t["content"] for t in played["recent_turns"]] == ["Hello", "Re: Hello.", "More", "Re: More."]
    assert (await any_api.turn(path, "Hi")).error == (409, "simulation_read_only")
    for body in ({"content": "Hi"}, {"content": "Hi", "take_over": True}):
        answer = await any_api.post(f"{path}/human-turns", body)
        assert answer.error == (409, "simulation_read_only")


async def test_a_script_may_be_texts_alone(api: Api) -> None:
    body = {"script": ["Hello", {"user": "Again"}]}
    begun = await api.post("/v1/agents/steered/simulations", body)
    assert begun.status == 202
    report = await reported(api, "steered", begun.json["id"])
    assert [(t["user"], t["status"]) for t in report["turns"]] == [("Hello", "passed"), ("Again", "passed")]
    assert (await api.post("/v1/agents/steered/simulations", {"script": [""]})).error[0] == 422


async def test_a_conversation_may_be_created_with_its_script(api: Api) -> None:
    path = await api.conversation(session_type="simulation", script=["Hello", "Again"])

    async def look() -> Any:
        return (await api.get(path)).json

    ended = await until(look, lambda c: c["status"] == "closed")
    assert ended["message_count"] == 4
    report = await reported(api, "steered", ended["id"])
    assert (report["status"], [t["status"] for t in report["turns"]]) == ("passed", ["passed", "passed"])
    body = {"end_user_id": ended["end_user_id"], "channel": "api", "script": ["x"]}
    assert (await api.post(V2, body)).error == (422, "validation_error")


@pytest.mark.parametrize(
    ("key", "agent", "body", "wanted"),
    [
        ("app", "steered", {"script": SCRIPT}, (403, "forbidden")),
        ("desk", "nobody", {"script": SCRIPT}, (404, "agent_not_found")),
        ("other", "steered", {"script": SCRIPT}, (404, "agent_not_found")),
        ("desk", "steered", {"script": []}, (422, "validation_error")),
        ("desk", "steered", {"script": [{"user": ""}]}, (422, "validation_error")),
    ],
)
async def test_refused_simulations(
    api: Api, key: str, agent: str, body: dict[str, Any], wanted: tuple[int, str]
) -> None:
    assert (await api.as_(key).post(f"/v1/agents/{agent}/simulations", body)).error == wanted


async def test_a_report_is_its_agents(api: Api) -> None:
    begun = await api.post("/v1/agents/steered/simulations", {"script": SCRIPT})
    answer = await api.get(f"/v1/agents/demo/simulations/{begun.json['id']}")
    assert answer.error == (404, "not_found")
    await reported(api, "steered", begun.json["id"])
