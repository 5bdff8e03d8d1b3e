"""Turns over HTTP: whole and streamed, transcript and poll, handoff."""

import asyncio
from pathlib import Path

import pytest

from tests.integration.api import Api, Reply, gateway
from tests.integration.api_agents import Steering, reset
from workers.turns import TurnLimits

TURN = {
    *("turn_id", "conversation_id", "text", "active_assistant_id", "path", "decision_source"),
    *("message_seqs", "session_status", "turn_ttft_ms", "ended", "evidence"),
}
POLLED = {
    *("id", "seq", "session_id", "turn_id", "role", "content", "authored_by", "created_at", "tool_calls"),
    *("tool_results", "model_used", "token_count", "latency_ms", "delivery_status", "metadata", "evidence"),
}
ROW = {
    *("id", "session_id", "turn_id", "seq", "role", "content", "authored_by", "created_at", "evidence"),
}


async def contents(api: Api, path: str) -> list[tuple[str, str]]:
    """Role and text of every message."""
    rows = (await api.get(f"{path}/messages?since_seq=-1")).json["messages"]
    assert [row["seq"] for row in rows] == list(range(len(rows)))
    return [(row["role"], row["content"]) for row in rows]


def keyed(key: str) -> dict[str, dict[str, str]]:
    """The header of an idempotent request."""
    return {"headers": {"Idempotency-Key": key}}


async def test_a_turn_answers_whole(any_api: Api) -> None:
    path = await any_api.conversation()
    answer = await any_api.as_("app").turn(path, "Hi")
    assert (answer.status, answer.json.keys()) == (200, TURN)
    assert answer.json | {"turn_id": "", "turn_ttft_ms": 0} == {
        "turn_id": "",
        "conversation_id": path.rpartition("/")[2],
        "text": "Re: Hi.",
        "active_assistant_id": (await any_api.get(path)).json["assigned_agent_id"],
        "path": "single",
        "decision_source": "router",
        "message_seqs": [0, 1],
        "session_status": "active",
        "turn_ttft_ms": 0,
        "ended": False,
        "evidence": None,
    }
    assert answer.json["turn_ttft_ms"] >= 0
    assert (await any_api.turn(path, "And?")).json["message_seqs"] == [2, 3]
    assert await contents(any_api, path) == [
        ("user", "Hi"),
        ("assistant", "Re: Hi."),
        ("user", "And?"),
        ("assistant", "Re: And?."),
    ]


async def test_a_stream_is_deltas_and_one_complete(api: Api) -> None:
    path = await api.conversation()
    streamed = await api.stream(path, "Hi")
    assert streamed.headers["Content-Type"].startswith("text/event-stream")
    *deltas, (last, complete) = streamed.events
    assert {name for name, _ in deltas} == {"delta"}
    assert (last, complete.keys()) == ("complete", TURN | {"perceived_ttft_ms"})
    assert "".join(data["text"] for _, data in deltas) == complete["text"] == "Re: Hi."
    assert 0 <= complete["turn_ttft_ms"] <= complete["perceived_ttft_ms"] < 60_000


async def test_an_agent_that_fails(api: Api, steering: Steering) -> None:
    path = await api.conversation()
    steering.failures = 1
    assert (await api.turn(path, "One")).error == (502, "agent_failed")
    broken = (await api.stream(path, "break")).events
    assert [name for name, _ in broken] == ["delta", "error"]
    assert broken[-1][1].keys() == {"error", "message"}
    assert broken[-1][1]["error"] == "agent_failed"
    assert await contents(api, path) == [("user", "One"), ("user", "break")]


async def test_evidence_in_both_views(api: Api) -> None:
    path = await api.conversation()
    body = {"user_message": "evidence", "include_evidence": True}
    answer = (await api.post(f"{path}/turns", body)).json
    shown = answer["evidence"]
    assert shown.keys() == {
        *("package_id", "conversation_id", "turn_id", "created_at", "items", "view"),
        *("schema_version", "message_id"),
    }
    assert (shown["view"], shown["schema_version"]) == ("display", 1)
    polled = (await api.get(f"{path}/messages")).json["messages"][-1]
    assert (shown["message_id"], shown["turn_id"]) == (polled["id"], answer["turn_id"])
    card = shown["items"][0]
    assert card == {
        "citation_marker": "[1]",
        **dict.fromkeys(("label", "short_label", "document_title", "version_number", "deep_link")),
        "section": {
            "path_titles": [],
            "path_numbers": [],
            "display_label": None,
            "confidence": "unknown",
        },
    }
    chunk = {"chunk_id": "c1", "kb_id": "k1", "score": 0.5, "text": "A fact."}
    assert polled["evidence"] == [chunk]
    full = (await api.post(f"{path}/turns", {**body, "evidence_view": "full"})).json["evidence"]
    assert full["items"] == [{**card, **chunk}]
    assert full.keys() - shown.keys() == {"organization_id", "agent_id", "status_reason"}
    assert full["package_id"] != shown["package_id"]
    nothing = (await api.post(f"{path}/turns", {**body, "user_message": "Hi"})).json["evidence"]
    assert nothing["items"] == []


async def test_the_transcript_goes_page_by_page(any_api: Api) -> None:
    path = await any_api.conversation(assistant_id="demo")
    for text in ("a", "b"):
        await any_api.turn(path, text)
    first = (await any_api.get(f"{path}/turns?limit=3")).json
    assert first.keys() == {"turns", "has_more", "next_cursor"}
    assert all(row.keys() == ROW for row in first["turns"])
    rest = (await any_api.get(f"{path}/turns?cursor={first['next_cursor']}")).json
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert [row["seq"] for row in first["turns"] + rest["turns"]] == [0, 1, 2, 3]
    await any_api.turn(path, "c")
    later = (await any_api.get(f"{path}/turns?cursor={rest['next_cursor']}")).json
    assert [row["content"] for row in later["turns"]] == ["c", "You said: c"]
    assert (await any_api.get(f"{path}/turns?cursor=bm8")).error == (400, "invalid_cursor")
    assert [row["seq"] for row in (await any_api.get(path)).json["recent_turns"]] == list(range(6))


async def test_the_poll_reads_on_and_holds_open(any_api: Api) -> None:
    path = await any_api.conversation()
    empty = (await any_api.get(f"{path}/messages?since_seq=-1")).json
    assert empty == {"session_status": "active", "next_seq": -1, "has_more": False, "messages": []}
    held = asyncio.create_task(any_api.get(f"{path}/messages?since_seq=-1&wait=30"))
    await any_api.turn(path, "Hi")
    first = (await held).json
    assert first["messages"][0]["content"] == "Hi"
    rows = (await any_api.get(f"{path}/messages")).json["messages"]
    assert all(row.keys() == POLLED for row in rows)
    assert rows[1]["token_count"] == {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    assert (rows[1]["model_used"], rows[0]["model_used"], rows[0]["token_count"]) == ("none", None, None)
    page = (await any_api.get(f"{path}/messages?limit=1")).json
    assert (page["next_seq"], page["has_more"]) == (0, True)
    assert (await any_api.get(f"{path}/messages?since_seq=1")).json["next_seq"] == 1
    for query in ("since_seq=-2", "limit=0", "limit=1001", "wait=31", "since_seq=x"):
        assert (await any_api.get(f"{path}/messages?{query}")).error == (422, "validation_error")


async def test_a_poll_that_was_answered_before_is_304(any_api: Api) -> None:
    path = await any_api.conversation()
    polls = [f"{path}/messages", f"{path}/messages?since_seq=1", f"{path}/messages?limit=1"]

    async def tags() -> list[str]:
        return [(await any_api.get(poll)).headers["ETag"] for poll in polls]

    async def unchanged(tag: str, *, wait: str = "") -> list[int]:
        answers = [await any_api.get(poll + wait, headers={"If-None-Match": tag}) for poll in polls]
        assert all((answer.text == "") == (answer.status == 304) for answer in answers)
        return [answer.status for answer in answers]

    empty = await tags()
    await any_api.turn(path, "Hi")
    one = await tags()
    assert [before == after for before, after in zip(empty, one, strict=True)] == [False, True, False]
    assert one == await tags()
    for number, tag in enumerate(one):
        same = [304 if other == number else 200 for other in range(3)]
        assert await unchanged(f'"other", W/{tag}') == same
    assert await unchanged("*") == [304] * 3

    async def news(tag: str) -> int:
        while True:  # a tag may also change with what is not shown
            answer = await any_api.get(f"{path}/messages?wait=30", headers={"If-None-Match": tag})
            if len(answer.json["messages"]) > 2:
                return answer.status
            tag = answer.headers["ETag"]

    held = asyncio.create_task(news(one[0]))
    await any_api.turn(path, "And?")
    assert await held == 200
    await any_api.post(f"{path}/close")
    assert not set(await tags()) & {*empty, *one}


async def test_what_became_of_a_text_changes_its_poll(api: Api) -> None:
    person = await api.person("+14155550123", "sms")
    path = await api.conversation(
        end_user_id=person, channel="sms", address="+15550100", session_type="test", first_message="Hi"
    )

    async def settled() -> Reply:
        answer = await api.get(f"{path}/messages")
        while answer.json["messages"][0]["delivery_status"] != "sandboxed":
            before = {"If-None-Match": answer.headers["ETag"]}
            answer = await api.get(f"{path}/messages?wait=30", headers=before)
        return answer

    async with asyncio.timeout(60):
        tag = (await settled()).headers["ETag"]
    assert (await api.get(f"{path}/messages", headers={"If-None-Match": tag})).status == 304


async def test_a_held_poll_ends_when_the_conversation_does(api: Api) -> None:
    path = await api.conversation()
    held = asyncio.create_task(api.get(f"{path}/messages?wait=30"))
    await api.post(f"{path}/close")
    assert (await held).json["session_status"] == "closed"
    assert (await api.get(f"{path}/messages?wait=30")).json["messages"] == []


async def test_for_update_refuses_while_a_turn_runs(api: Api, steering: Steering) -> None:
    path = await api.conversation()
    running = asyncio.create_task(api.turn(path, "hold"))
    await steering.begun.wait()
    body = {"user_message": "Quick", "for_update": True}
    assert (await api.post(f"{path}/turns", body)).error == (409, "turn_in_progress")
    assert (await api.post(f"{path}/turns/stream", body)).error == (409, "turn_in_progress")
    waiting = asyncio.create_task(api.turn(path, "Next"))
    steering.go_on.set()
    assert (await running).json["message_seqs"] == [0, 1]
    assert (await waiting).json["message_seqs"] == [2, 3]


async def test_a_place_that_never_comes_is_a_status_and_withdraws_the_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the turn before theirs lasts until the late ones have been answered, however long that takes
    monkeypatch.setattr("gateway.app.consumers.TurnLimits", lambda _timeout, *more: TurnLimits(3600, *more))
    async with gateway(tmp_path, GATEWAY_TURN_TIMEOUT_SECONDS="1") as api:
        path = await api.conversation()
        steering = reset()
        first = asyncio.create_task(api.turn(path, "hold"))
        await steering.begun.wait()
        late = await asyncio.gather(*(ask(path, "Late") for ask in (api.stream, api.turn)))
        assert [reply.error for reply in late] == [(503, "unavailable")] * 2
        assert await contents(api, path) == [("user", "hold")]
        steering.go_on.set()
        await first
        polled = (await api.get(f"{path}/messages?since_seq=0&wait=30")).json["messages"]
        assert [row["content"] for row in polled] == ["Re: hold."]
        assert (await api.turn(path, "Next")).json["message_seqs"] == [2, 3]


async def test_an_agent_that_fails_at_once_ends_a_stream_with_its_error(api: Api, steering: Steering) -> None:
    path = await api.conversation()
    steering.failures = 1
    answer = await api.stream(path, "One")
    assert (answer.status, [name for name, _ in answer.events]) == (200, ["error"])
    assert answer.events[0][1]["error"] == "agent_failed"


async def test_closing_discards_the_running_turn(api: Api, steering: Steering) -> None:
    path = await api.conversation()
    running = asyncio.create_task(api.turn(path, "hold"))
    await steering.begun.wait()
    assert (await api.post(f"{path}/close")).json["status"] == "closed"
    assert (await running).error == (409, "conversation_closed")
    steering.go_on.set()
    assert await contents(api, path) == [("user", "hold")]


async def test_a_client_that_goes_away_does_not_stop_the_turn(api: Api, steering: Steering) -> None:
    path = await api.conversation()
    url = f"{api.app.http_url}{path}/turns/stream"
    async with api.session.post(url, json={"user_message": "hold"}, headers={"x-api-key": "root"}) as stream:
        await stream.content.readline()
    steering.go_on.set()
    polled = (await api.get(f"{path}/messages?since_seq=0&wait=30")).json["messages"]
    assert [row["content"] for row in polled] == ["Re: hold."]


async def test_a_person_takes_over_answers_and_returns(any_api: Api) -> None:
    path = await any_api.conversation(assistant_id="demo")
    handed = (await any_api.turn(path, "human please")).json
    assert (handed["path"], handed["session_status"]) == ("handoff", "waiting_for_human")
    queued = (await any_api.turn(path, "Anybody?")).json
    assert (queued["path"], queued["decision_source"], queued["text"]) == ("queued", "operator", "")
    assert (queued["message_seqs"], queued["active_assistant_id"]) == ([3], None)
    streamed = (await any_api.stream(path, "Hello?")).events
    assert [name for name, _ in streamed] == ["complete"]
    assert streamed[0][1]["turn_id"] == queued["turn_id"]
    assert streamed[0][1]["perceived_ttft_ms"] is None

    desk = any_api.as_("desk")
    listed = (await desk.get("/v1/hitl/handoffs?status=requested")).json["items"]
    assert [item["conversation_id"] for item in listed] == [queued["conversation_id"]]
    assert (await desk.get("/v1/hitl/handoffs?status=resolved")).json["items"] == []
    human = f"/v1/conversations/{queued['conversation_id']}/human-turns"
    assert (await any_api.as_("app").post(human, {"content": "x"})).error == (403, "forbidden")
    assert (await desk.post(human, {})).error == (422, "validation_error")
    said = (await desk.post(human, {"content": "Hi, this is Jamie."})).json
    assert said.keys() == {"conversation_id", "message", "handoff_id", "session_status", "next_seq"}
    assert said["message"].keys() == POLLED
    assert (said["message"]["role"], said["message"]["authored_by"]) == ("assistant", "human_operator")
    polled = (await any_api.get(f"{path}/messages?since_seq={said['next_seq'] - 1}")).json["messages"]
    assert polled == [said["message"]]
    assert (await any_api.as_("second").post(human, {"content": "Me!"})).error == (409, "claimed_by_other")
    handoff = (await desk.get(f"/v1/hitl/handoffs/{said['handoff_id']}")).json
    assert (handoff["status"], handoff["assignee"]) == ("accepted", "Jamie")

    back = (await desk.post(human, {"return_control": True})).json
    assert (back["session_status"], back["message"]) == ("active", None)
    answered = (await any_api.get(f"{path}/messages?since_seq={back['next_seq']}&wait=30")).json
    assert answered["messages"][0]["turn_id"] == queued["turn_id"]
    assert (await desk.post(human, {"content": "x"})).error == (409, "not_waiting_for_human")
    taken = (await desk.post(human, {"content": "I take it.", "take_over": True})).json
    assert taken["session_status"] == "waiting_for_human"


async def test_operators_work_on_the_list_of_handoffs(any_api: Api) -> None:
    path = await any_api.conversation(assistant_id="demo")
    await any_api.turn(path, "human please")
    desk, second = any_api.as_("desk"), any_api.as_("second")
    (listed,) = (await desk.get("/v1/hitl/handoffs")).json["items"]
    place = f"/v1/hitl/handoffs/{listed['id']}"
    claimed = await desk.post(f"{place}/claim")
    assert (claimed.status, claimed.json) == (200, listed | {"status": "assigned", "assignee": "Jamie"})
    assert (await desk.post(f"{place}/claim")).json == claimed.json
    for act, body in (("claim", None), ("messages", {"content": "x"}), ("return", None), ("resolve", None)):
        assert (await second.post(f"{place}/{act}", body)).error == (409, "claimed_by_other")
        assert (await any_api.as_("app").post(f"{place}/{act}", body)).error == (403, "forbidden")
        assert (await any_api.as_("other").post(f"{place}/{act}", body)).error == (404, "not_found")
    assert (await desk.post(f"{place}/messages", {"content": ""})).error == (422, "validation_error")
    said = [await desk.post(f"{place}/messages", {"content": "Hello."}, **keyed("k")) for _ in range(2)]
    assert [answer.json["status"] for answer in said] == ["accepted"] * 2
    assert (await contents(any_api, path)).count(("assistant", "Hello.")) == 1
    assert (await desk.post(f"{place}/return")).json["status"] == "resolved"
    assert (await any_api.get(path)).json["status"] == "active"
    assert (await desk.post(f"{place}/return")).error == (409, "not_waiting_for_human")

    await any_api.turn(path, "human again")
    (again,) = (await desk.get("/v1/hitl/handoffs?status=requested")).json["items"]
    settled = await any_api.post(f"/v1/hitl/handoffs/{again['id']}/resolve")
    assert (settled.json["status"], settled.json["assignee"]) == ("resolved", "Root")
    assert (await any_api.get(path)).json["status"] == "closed"


async def test_a_simulation_takes_no_turns(api: Api) -> None:
    path = await api.conversation(session_type="simulation")
    assert (await api.turn(path, "Hi")).error == (409, "simulation_read_only")
    body = {"content": "Hi", "take_over": True}
    assert (await api.post(f"{path}/human-turns", body)).error == (409, "simulation_read_only")
