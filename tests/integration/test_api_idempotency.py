"""Repeated requests over HTTP: what has an Idempotency-Key happens once, and has the same answer."""

import asyncio
from typing import Any

from tests.integration.api import V2, Api, Reply
from tests.integration.api_agents import Steering
from tests.integration.test_api_turns import contents, keyed


def replayed(answer: Reply) -> bool:
    """Whether an answer was given before."""
    return answer.headers.get("Idempotency-Replayed") == "true"


async def test_a_repeated_turn_is_answered_from_memory(any_api: Api, steering: Steering) -> None:
    path = await any_api.conversation()
    first, second = [await any_api.turn(path, "Hi", **keyed("k")) for _ in range(2)]
    assert (second.status, second.text) == (200, first.text)
    assert (replayed(first), replayed(second)) == (False, True)
    assert (await any_api.turn(path, "Other", **keyed("k"))).error == (409, "idempotency_conflict")
    other = await any_api.conversation()
    assert not replayed(await any_api.turn(other, "Hi", **keyed("k")))
    assert len(steering.asked) == 2


async def test_a_repeated_stream_is_one_delta_and_complete(api: Api) -> None:
    path = await api.conversation()
    first, second = [await api.stream(path, "Hi", **keyed("k")) for _ in range(2)]
    assert second.events == [("delta", {"text": "Re: Hi."}), first.events[-1]]
    assert (replayed(first), replayed(second)) == (False, True)
    assert len(await contents(api, path)) == 2


async def test_repetitions_wait_for_the_first(any_api: Api, steering: Steering) -> None:
    path = await any_api.conversation()
    first = asyncio.create_task(any_api.turn(path, "hold", **keyed("k")))
    await steering.begun.wait()
    second = asyncio.create_task(any_api.turn(path, "hold", **keyed("k")))
    third = asyncio.create_task(any_api.stream(path, "hold", **keyed("s")))
    steering.go_on.set()
    assert (await second).json == (await first).json
    assert (replayed(await first), replayed(await second)) == (False, True)
    assert (await third).events[-1][0] == "complete"
    assert len(steering.asked) == 2


async def test_after_a_failure_the_same_message_is_asked_again(any_api: Api, steering: Steering) -> None:
    path = await any_api.conversation()
    steering.failures = 2
    assert (await any_api.turn(path, "Hi", **keyed("k"))).error == (502, "agent_failed")
    failed = (await any_api.stream(path, "Hello", **keyed("s"))).events
    assert [name for name, _ in failed] == ["error"]
    again = await any_api.turn(path, "Hi", **keyed("k"))
    assert (again.status, again.json["message_seqs"], replayed(again)) == (200, [0, 2], False)
    streamed = (await any_api.stream(path, "Hello", **keyed("s"))).events
    assert streamed[-1][1]["message_seqs"] == [1, 3]
    assert replayed(await any_api.turn(path, "Hi", **keyed("k")))
    assert await contents(any_api, path) == [
        ("user", "Hi"),
        ("user", "Hello"),
        ("assistant", "Re: Hi."),
        ("assistant", "Re: Hello."),
    ]


async def test_a_failed_message_waits_with_the_others(api: Api, steering: Steering) -> None:
    path = await api.conversation()
    steering.failures = 1
    assert (await api.turn(path, "Hi", **keyed("k"))).status == 502
    await api.post(f"{path}/human-turns", {"content": "Mine.", "take_over": True})
    again = (await api.turn(path, "Hi", **keyed("k"))).json
    assert (again["path"], again["message_seqs"]) == ("queued", [0])
    queued = (await api.turn(path, "Also")).json
    assert queued["turn_id"] == again["turn_id"]
    await api.post(f"{path}/human-turns", {"return_control": True})
    answered = (await api.get(f"{path}/messages?since_seq={queued['message_seqs'][0]}&wait=30")).json
    assert answered["messages"][0]["content"] == "Re: Hi\nAlso."
    assert (await api.turn(path, "Hi", **keyed("k"))).json == again


async def test_a_failed_message_is_not_asked_in_a_closed_conversation(api: Api, steering: Steering) -> None:
    path = await api.conversation()
    steering.failures = 1
    assert (await api.turn(path, "Hi", **keyed("k"))).status == 502
    await api.post(f"{path}/close")
    assert (await api.turn(path, "Hi", **keyed("k"))).error == (409, "conversation_closed")


async def test_other_repeated_requests(any_api: Api) -> None:
    person = await any_api.person()
    body = {"end_user_id": person, "channel": "api", "metadata": {"a": 1, "b": 2}}
    first = await any_api.post(V2, body, **keyed("k"))
    shuffled: dict[str, Any] = {"metadata": {"b": 2, "a": 1}, **body}
    again = await any_api.post("/v1/conversations", shuffled, **keyed("k"))
    assert (again.status, again.text, replayed(again)) == (201, first.text, True)
    assert len((await any_api.get(V2)).json["items"]) == 1
    assert (await any_api.post(V2, {**body, "metadata": {}}, **keyed("k"))).error == (
        409,
        "idempotency_conflict",
    )
    path = f"{V2}/{first.json['id']}"
    closes = await asyncio.gather(*(any_api.post(f"{path}/close", **keyed("k")) for _ in range(5)))
    assert len({answer.text for answer in closes}) == 1
    assert sorted(map(replayed, closes)) == [False, True, True, True, True]
    for _ in range(2):  # a refusal is not remembered
        assert (await any_api.turn(path, "Hi", **keyed("t"))).error == (409, "conversation_closed")
    assert (await any_api.post(V2, body, **keyed("x" * 256))).error == (422, "validation_error")
    assert (await any_api.as_("other").post(f"{V2}/test-chat", **keyed("k"))).error[0] == 422


async def test_what_was_deleted_is_not_remembered(api: Api) -> None:
    path = await api.conversation()
    await api.turn(path, "Hi", **keyed("k"))
    await api.post(f"{path}/close")
    assert (await api.call("DELETE", path)).status == 204
    assert (await api.turn(path, "Hi", **keyed("k"))).error == (404, "not_found")
