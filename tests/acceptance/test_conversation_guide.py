"""The seed guide's flow in its order: create, turn, stream, poll, close, transcript, delete."""

import asyncio
import json
import re
import shutil
from asyncio.subprocess import PIPE
from pathlib import Path
from uuid import uuid4

import pytest

from tests.acceptance.conftest import CONVERSATIONS, Site
from tests.acceptance.shapes import (
    CONVERSATION,
    CONVERSATION_DETAIL,
    ERROR,
    EVAL_SUMMARY,
    POLL,
    POLL_MESSAGE,
    STREAMED_TURN,
    TRANSCRIPT,
    TRANSCRIPT_ROW,
    TURN,
    expect,
    flag,
    items,
    maybe,
    table,
    uuid,
)
from tests.deployments import ADMIN, CLIENT
from tests.services import absent

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIRST = "I need help with my order #12345"
SECOND = "What is the status of my order?"
SNIPPET = Path(__file__).parent / "stream.mjs"


async def test_every_answer_of_the_guide_field_by_field(site: Site) -> None:
    person = await site.call("POST", "/v1/identity/resolve", {"channel": "api", "identifier": uuid4().hex})
    assert person.status == 200
    resolved = {"end_user_id": uuid, "created": flag, "profile": maybe(table), "contacts": items}
    end_user_id = expect(person.body, resolved)["end_user_id"]

    created = await site.call(
        "POST",
        CONVERSATIONS,
        {
            "end_user_id": end_user_id,
            "channel": "api",
            "assistant_id": "demo",
            "session_type": "live",
            "context_variables": {"customer_name": "Alex", "account_tier": "premium"},
        },
    )
    assert created.status == 201
    conversation = expect(created.body, CONVERSATION, more=True)
    assert set(conversation) - set(CONVERSATION) <= {"recent_turns", "recording_url"}
    expect(conversation["eval_summary"], EVAL_SUMMARY)
    assert conversation["end_user_id"] == end_user_id
    assert conversation["status"] == "active"
    assert conversation["channel"] == "api"
    assert conversation["session_type"] == "live"
    assert conversation["context_variables"] == {"customer_name": "Alex", "account_tier": "premium"}
    path = f"{CONVERSATIONS}/{conversation['id']}"

    turn = await site.call("POST", f"{path}/turns", {"user_message": FIRST})
    assert turn.status == 200
    answer = expect(turn.body, TURN)
    assert answer["text"] == f"You said: {FIRST}"
    assert answer["conversation_id"] == conversation["id"]
    assert answer["active_assistant_id"] == conversation["assigned_agent_id"]
    assert (answer["path"], answer["decision_source"]) == ("single", "router")
    assert (answer["session_status"], answer["ended"]) == ("active", False)
    assert answer["message_seqs"] == [0, 1]

    deltas, complete = await _stream(site, path, SECOND)
    assert "".join(deltas) == f"You said: {SECOND}"
    assert len(deltas) > 1
    assert expect(complete, STREAMED_TURN)["text"] == f"You said: {SECOND}"
    assert complete["message_seqs"] == [2, 3]
    assert complete["perceived_ttft_ms"] is not None

    poll = expect(await site.get(f"{path}/messages?since_seq=-1"), POLL)
    messages = [expect(message, POLL_MESSAGE) for message in poll["messages"]]
    assert [(m["seq"], m["role"], m["authored_by"], m["content"]) for m in messages] == [
        (0, "user", "end_user", FIRST),
        (1, "assistant", "agent", f"You said: {FIRST}"),
        (2, "user", "end_user", SECOND),
        (3, "assistant", "agent", f"You said: {SECOND}"),
    ]
    assert (poll["session_status"], poll["next_seq"], poll["has_more"]) == ("active", 3, False)
    assert {m["turn_id"] for m in messages} == {answer["turn_id"], complete["turn_id"]}
    nothing_new = expect(await site.get(f"{path}/messages?since_seq=3"), POLL)
    assert (nothing_new["messages"], nothing_new["next_seq"]) == ([], 3)

    early = await site.call("DELETE", path, key=ADMIN)
    assert (early.status, expect(early.body, ERROR)["error"]) == (409, "conversation_not_closed")

    one = expect(await site.get(path), CONVERSATION_DETAIL)
    assert [row["seq"] for row in one["recent_turns"]] == [0, 1, 2, 3]
    assert one["message_count"] == 4

    closed = await site.call("POST", f"{path}/close", {"reason": "resolved"})
    assert closed.status == 200
    ended = expect(closed.body, CONVERSATION, more=True)
    assert (ended["id"], ended["status"]) == (conversation["id"], "closed")
    assert ended["closed_at"] is not None
    assert ended["ended_at"] is not None
    late = await site.call("POST", f"{path}/turns", {"user_message": "Still there?"})
    assert (late.status, late.body["error"]) == (409, "conversation_closed")

    page = expect(await site.get(f"{path}/turns?limit=3"), TRANSCRIPT)
    rows = [expect(row, TRANSCRIPT_ROW) for row in page["turns"]]
    assert (len(rows), page["has_more"]) == (3, True)
    rest = expect(await site.get(f"{path}/turns?limit=20&cursor={page['next_cursor']}"), TRANSCRIPT)
    rows += [expect(row, TRANSCRIPT_ROW) for row in rest["turns"]]
    assert rest["has_more"] is False
    assert [row["content"] for row in rows] == [message["content"] for message in messages]
    assert {row["session_id"] for row in rows} == {conversation["id"]}

    assert (await site.call("DELETE", path, key=CLIENT)).status == 403
    purged = await site.call("DELETE", path, key=ADMIN)
    assert (purged.status, purged.body) == (204, "")
    after = await site.call("GET", f"{path}/messages?since_seq=-1")
    assert after.status == 404 or after.body["messages"] == []


async def _stream(site: Site, path: str, text: str) -> tuple[list[str], dict[str, object]]:
    """The deltas of a streamed turn, and its last event."""
    async with site.http.post(
        f"{site.deployment.url}{path}/turns/stream",
        json={"user_message": text},
        headers={"x-api-key": CLIENT},
    ) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        raw = await response.text()
    assert "\r" not in raw
    frames = [frame for frame in raw.split("\n\n") if frame and not frame.startswith(":")]
    events = [re.fullmatch(r"event: (\w+)\ndata: (.*)", frame) for frame in frames]
    parsed = [(found[1], json.loads(found[2])) for found in events if found]
    assert len(parsed) == len(frames), raw
    *deltas, (last, complete) = parsed
    assert {name for name, _ in deltas} == {"delta"}
    assert last == "complete"
    return [body["text"] for _, body in deltas], complete


async def test_the_guides_javascript_reads_the_stream(site: Site, tmp_path: Path) -> None:
    """The snippet as the guide prints it; only host and conversation are replaced."""
    node = shutil.which("node")
    if node is None:
        absent("Node.js", "the guide's JavaScript needs it")
    conversation_id = await site.new_conversation()
    code = (
        SNIPPET.read_text()
        .replace("https://api-sandbox.featherhq.com", site.deployment.url)
        .replace("conv_01hxabc987654321fedcba00", conversation_id)
    )
    script = tmp_path / "stream.mjs"
    script.write_text(code)
    done = await asyncio.create_subprocess_exec(
        node, str(script), env={"FEATHER_API_KEY": CLIENT}, stdout=PIPE, stderr=PIPE
    )
    output, errors = (text.decode() for text in await done.communicate())
    assert (done.returncode, errors) == (0, "")
    assert output.startswith(f"You said: {SECOND}\n\nFull turn: {{")
    assert f"text: 'You said: {SECOND}'" in output
    assert f"conversation_id: '{conversation_id}'" in output
