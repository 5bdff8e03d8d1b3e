"""The API: resolve, create, a turn, a streamed turn, poll, close, transcript, delete."""

from typing import Final

from gateway.demo.client import ApiClient, JsonObject
from gateway.demo.expect import expect, expect_that
from gateway.demo.page import Page, Speaker
from gateway.demo.stage import CONVERSATIONS, Stage

_FIRST: Final = "I need help with my order 12345."
_SECOND: Final = "What is the status of my order, and when will it arrive?"


async def api_turns(stage: Stage, page: Page) -> None:
    """A developer's first five minutes."""
    client = stage.client
    page.heading("API", "a client talks to POST …/turns and …/turns/stream")
    person = await client.post("/v1/identity/resolve", {"channel": "api", "identifier": "customer-7"})
    conversation = await client.post(
        CONVERSATIONS, {"end_user_id": person["end_user_id"], "channel": "api"}, status=201
    )
    expect("status of a new conversation", conversation["status"], "active")
    path = f"{CONVERSATIONS}/{conversation['id']}"

    page.said(Speaker.PERSON, _FIRST)
    turn = await client.post(f"{path}/turns", {"user_message": _FIRST})
    expect("text of a turn", turn["text"], f"You said: {_FIRST}")
    expect("messages of the first turn", turn["message_seqs"], [0, 1])
    page.said(Speaker.AGENT, turn["text"])

    await _streamed_turn(client, path, page)

    polled = await client.get(f"{path}/messages?since_seq=1")
    expect("messages after the first turn", [m["seq"] for m in polled["messages"]], [2, 3])
    closed = await client.post(f"{path}/close", {"reason": "resolved"})
    expect("status after closing", closed["status"], "closed")
    transcript = await client.get(f"{path}/turns")
    expect(
        "transcript",
        [row["content"] for row in transcript["turns"]],
        [_FIRST, f"You said: {_FIRST}", _SECOND, f"You said: {_SECOND}"],
    )
    await stage.admin.delete(path)
    page.checked("polled from a seq, closed, read as a transcript, deleted")


async def _streamed_turn(client: ApiClient, path: str, page: Page) -> None:
    page.said(Speaker.PERSON, _SECOND)
    deltas: list[str] = []
    complete: JsonObject = {}
    async for event, payload in client.stream(f"{path}/turns/stream", {"user_message": _SECOND}):
        expect("the stream goes on after its end", complete, {})
        expect_that("events of a stream", event in ("delta", "complete"), (event, payload))
        if event == "delta":
            deltas.append(payload["text"])
        else:
            complete = payload
    expect("text of a streamed turn", complete.get("text"), f"You said: {_SECOND}")
    expect("deltas of a streamed turn, joined", "".join(deltas), complete["text"])
    expect_that("a streamed turn comes in pieces", len(deltas) > 1, deltas)
    page.said(Speaker.AGENT, " | ".join(delta.strip() for delta in deltas))
    page.checked(f"streamed in {len(deltas)} deltas, which joined are the text")
