"""Every request that the seeds print, sent byte for byte; only ids, host and key are replaced."""

import json
from typing import Any

import pytest

from tests.acceptance.conftest import CONVERSATIONS, Answer, Site, until
from tests.acceptance.shapes import (
    APPROVAL,
    CONVERSATION,
    CONVERSATION_DETAIL,
    EVAL_SUMMARY,
    EVIDENCE,
    FULL_EVIDENCE,
    FULL_SOURCE,
    HANDOFF,
    HUMAN_TURN,
    PACKET,
    POLL,
    POLL_MESSAGE,
    SECTION,
    SESSION_RESULT,
    SOURCE,
    STREAMED_TURN,
    TRANSCRIPT,
    TRANSCRIPT_ROW,
    TURN,
    Shape,
    expect,
    flag,
    items,
    table,
    uuid,
)
from tests.deployments import ADMIN, CLIENT, OPERATOR, SEED_AGENT

pytestmark = pytest.mark.asyncio(loop_scope="session")

CREATE = """{
      "end_user_id": "550e8400-e29b-41d4-a716-446655440000",
      "channel": "api",
      "assistant_id": "agt_01hx3k2mz9vbqwerty123456",
      "session_type": "live"
    }"""
TURN_OF_THE_GUIDE = """{
      "user_message": "I need help with my order #12345"
    }"""
STREAM_OF_THE_GUIDE = """{
      "user_message": "What is the status of my order?"
    }"""
CLOSE = """{
      "reason": "resolved"
    }"""
RESOLVE = """{
  "channel": "sms",
  "identifier": "+14155550123"
}"""
TURN_OF_THE_REFERENCE = """
{
  "user_message": "<string>",
  "for_update": false,
  "include_evidence": false,
  "evidence_view": "display"
}
"""
END_SESSION = """
{
  "end_user_id": "3c90c3cc-0d44-4b50-8888-8dd25736052a",
  "session_id": "3c90c3cc-0d44-4b50-8888-8dd25736052a",
  "agent_id": "3c90c3cc-0d44-4b50-8888-8dd25736052a",
  "channel": "api",
  "reason": "<string>"
}
"""
WITH_EVIDENCE: Shape = {**{k: v for k, v in TURN.items() if k != "evidence"}, "evidence": table}


async def _send(site: Site, method: str, path: str, body: str | None = None, key: str = CLIENT) -> Answer:
    """A request with exactly this body."""
    headers = {"x-api-key": key, "Content-Type": "application/json"}
    async with site.http.request(
        method, site.deployment.url + path, data=body and body.encode(), headers=headers
    ) as response:
        is_json = response.content_type == "application/json"
        given = await response.json() if is_json else await response.text()
        return Answer(response.status, dict(response.headers), given)


async def _person(site: Site) -> str:
    resolved = await _send(site, "POST", "/v1/identity/resolve", RESOLVE)
    assert resolved.status == 200
    shape = {"end_user_id": uuid, "created": flag, "profile": table, "contacts": items}
    return str(expect(resolved.body, shape)["end_user_id"])


async def _conversation(site: Site, person: str) -> str:
    body = CREATE.replace("550e8400-e29b-41d4-a716-446655440000", person)
    created = await _send(site, "POST", CONVERSATIONS, body)
    assert created.status == 201
    made = expect(created.body, CONVERSATION_DETAIL)
    assert (made["end_user_id"], made["channel"], made["session_type"]) == (person, "api", "live")
    assert made["status"] == "active"
    agents = (await site.get("/v1/agents"))["items"]
    assert made["assistant_id"] == next(a["id"] for a in agents if a["slug"] == SEED_AGENT)
    return str(made["id"])


async def test_an_address_of_the_concept_page_is_one_person(site: Site) -> None:
    assert await _person(site) == await _person(site)


async def test_the_requests_of_the_guide(site: Site) -> None:
    path = f"{CONVERSATIONS}/{await _conversation(site, await _person(site))}"
    turn = await _send(site, "POST", f"{path}/turns", TURN_OF_THE_GUIDE)
    assert turn.status == 200
    assert expect(turn.body, TURN)["session_status"] == "active"
    stream = await _send(site, "POST", f"{path}/turns/stream", STREAM_OF_THE_GUIDE)
    last = stream.body.rstrip("\n").split("\n\n")[-1].split("\n")
    assert last[0] == "event: complete"
    expect(json.loads(last[1].removeprefix("data: ")), STREAMED_TURN)
    poll = await _send(site, "GET", f"{path}/messages?since_seq=-1")
    for message in expect(poll.body, POLL)["messages"]:
        expect(message, POLL_MESSAGE)
    closed = await _send(site, "POST", f"{path}/close", CLOSE)
    assert closed.status == 200
    assert expect(closed.body, CONVERSATION_DETAIL)["status"] == "closed"
    page = await _send(site, "GET", f"{path}/turns?limit=20")
    for row in expect(page.body, TRANSCRIPT)["turns"]:
        expect(row, TRANSCRIPT_ROW)


async def test_the_requests_of_the_reference(site: Site) -> None:
    person = await _person(site)
    conversation_id = await _conversation(site, person)
    path = f"{CONVERSATIONS}/{conversation_id}"
    turn = await _send(site, "POST", f"{path}/turns", TURN_OF_THE_REFERENCE)
    assert turn.status == 200
    assert expect(turn.body, TURN)["evidence"] is None
    one = await _send(site, "GET", path)
    assert one.status == 200
    for row in expect(one.body, CONVERSATION_DETAIL)["recent_turns"]:
        expect(row, TRANSCRIPT_ROW)
    expect(one.body["eval_summary"], EVAL_SUMMARY)
    named = END_SESSION.replace("3c90c3cc-0d44-4b50-8888-8dd25736052a", person, 1)
    body = named.replace("3c90c3cc-0d44-4b50-8888-8dd25736052a", conversation_id, 1)
    ended = await _send(site, "POST", f"{path}/end_session", body, ADMIN)
    assert ended.status == 200
    result = expect(ended.body, SESSION_RESULT)
    assert (result["session_id"], result["status"]) == (conversation_id, "ended")
    assert result["session_status"] == "closed"


@pytest.mark.parametrize(
    ("view", "package", "source"), [("display", EVIDENCE, SOURCE), ("full", FULL_EVIDENCE, FULL_SOURCE)]
)
async def test_evidence_in_the_view_that_is_asked_for(
    site: Site, view: str, package: Shape, source: Shape
) -> None:
    path = f"{CONVERSATIONS}/{await _conversation(site, await _person(site))}"
    body = TURN_OF_THE_REFERENCE.replace("<string>", "a source?").replace("display", view)
    turn = await _send(site, "POST", f"{path}/turns", body.replace('evidence": false', 'evidence": true'))
    evidence = expect(expect(turn.body, WITH_EVIDENCE)["evidence"], package)
    assert (evidence["view"], evidence["schema_version"]) == (view, 1)
    assert evidence["items"]
    for item in evidence["items"]:
        expect(expect(item, source)["section"], SECTION)


async def test_a_person_answers_and_gives_back(site: Site) -> None:
    conversation_id = await _conversation(site, await _person(site))
    turn = await _send(
        site, "POST", f"/v1/conversations/{conversation_id}/turns", '{"user_message": "human"}'
    )
    assert expect(turn.body, TURN)["session_status"] == "waiting_for_human"
    queued = await _send(site, "POST", f"/v1/conversations/{conversation_id}/turns", '{"user_message": "?"}')
    assert (expect(queued.body, TURN)["path"], queued.body["text"]) == ("queued", "")
    human = f"/v1/conversations/{conversation_id}/human-turns"
    said = await _send(site, "POST", human, '{"content": "Hi, this is Jamie from support."}', OPERATOR)
    assert said.status == 200
    message = expect(expect(said.body, HUMAN_TURN)["message"], POLL_MESSAGE)
    assert (message["role"], message["authored_by"]) == ("assistant", "human_operator")
    listed = await _send(site, "GET", f"/v1/hitl/handoffs/{said.body['handoff_id']}", key=OPERATOR)
    expect(expect(listed.body, HANDOFF)["packet"], PACKET)
    back = await _send(site, "POST", human, '{"return_control": true}', OPERATOR)
    assert expect(back.body, HUMAN_TURN)["session_status"] == "active"

    async def answered() -> bool:
        poll = await site.get(f"{CONVERSATIONS}/{conversation_id}/messages")
        return bool(poll["messages"][-1]["turn_id"] == queued.body["turn_id"])

    await until(answered, "the queued message to be answered")


@pytest.mark.parametrize(("decision", "status"), [("approve", "active"), ("reject", "closed")])
async def test_an_approval_is_decided(site: Site, decision: str, status: str) -> None:
    conversation_id = await _conversation(site, await _person(site))
    path = f"/v1/conversations/{conversation_id}"
    turn = await _send(site, "POST", f"{path}/turns", '{"user_message": "refund"}')
    assert expect(turn.body, TURN)["session_status"] == "awaiting_approval"
    pending = await _send(site, "GET", "/v1/hitl/approvals?status=pending", key=OPERATOR)
    (approval,) = [a for a in pending.body["items"] if a["conversation_id"] == conversation_id]
    expect(approval, APPROVAL)
    resolve = f"{path}/approvals/{approval['id']}/resolve"
    resolved = await _send(site, "POST", resolve, json.dumps({"decision": decision, "note": None}), OPERATOR)
    assert resolved.status == 200
    assert expect(resolved.body, APPROVAL)["decision"] == decision

    async def become() -> list[dict[str, Any]] | None:
        poll = await site.get(f"{path}/messages")
        return poll["messages"] if poll["session_status"] == status and len(poll["messages"]) > 2 else None

    messages = await until(become, f"the conversation to be {status}")
    assert [bool(message["tool_calls"]) for message in messages] == [False, False, decision == "approve"]


async def test_lists_have_conversations_as_one_has_them(site: Site) -> None:
    await _conversation(site, await _person(site))
    page = await _send(site, "GET", f"{CONVERSATIONS}?status=active&channel=api&limit=3")
    for conversation in page.body["items"]:
        expect(conversation, CONVERSATION)
