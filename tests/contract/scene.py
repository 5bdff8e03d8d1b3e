"""People, workers and replies for the contract suites, and ways to look at what is stored."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from gateway.domain.agent import TurnRequest
from gateway.domain.clock import SECOND
from gateway.domain.conversation import Origin, Priority, SessionType
from gateway.domain.identity import Address, ContactKind
from gateway.domain.ids import named_id, new_id
from gateway.domain.message import Accepted, Channel, InboundMessage, JsonObject, Role, SenderAuth
from gateway.domain.ports.store import Row, Store, Tx
from gateway.domain.turn import Claim, NotNow, Path, Reply, ReplyMessage
from gateway.service.accept import Route, accept
from gateway.service.claim import claim_turn
from gateway.service.converse import NewConversation, create
from gateway.service.handoff import HumanTurn, HumanTurnDone, Operator, human_turn
from gateway.service.identify import resolve
from gateway.service.respond import Finished, finish_turn
from gateway.service.submit import ApiInput, Submitted, submit

PARTITIONS = 4
ORGANIZATION = named_id("organisation of the tests")
ROUTE = Route(
    organization_id=ORGANIZATION,
    agent_id=named_id("agent of the tests"),
    revision_id="revision-1",
    idle_ttl=3600 * SECOND,
    retention=30 * 24 * 3600 * SECOND,
    partitions=PARTITIONS,
)
OURS = "+15550100"
THEIRS = "+14155550123"
OUR_MAILBOX = "support@example.org"
THEIR_MAILBOX = "ada@example.com"
LIFETIME = 10
"""Seconds a worker is believed alive after its last sign."""

_numbers = count(1)


def sms(text: str = "hello", *, sender: str = THEIRS, provider_id: str | None = None) -> InboundMessage:
    """A text message of its own."""
    return InboundMessage(
        channel=Channel.SMS,
        provider="twilio",
        provider_message_id=provider_id or f"SM{next(_numbers)}",
        sender=sender,
        recipient=OURS,
        text=text,
        received_at=1_700_000_000 * SECOND,
    )


def mail(
    text: str = "hello",
    *,
    sender: str = THEIR_MAILBOX,
    auth: SenderAuth = SenderAuth.VERIFIED,
    answers: Sequence[str] = (),
    conversation_id: str | None = None,
) -> InboundMessage:
    """A mail of its own."""
    own = f"<{next(_numbers)}@example.com>"
    return InboundMessage(
        channel=Channel.EMAIL,
        provider="smtp",
        provider_message_id=own,
        sender=sender,
        recipient=OUR_MAILBOX,
        text=text,
        subject="A question",
        sender_auth=auth,
        thread_ids=tuple(answers),
        conversation_id=conversation_id,
        received_at=1_700_000_000 * SECOND,
        metadata={"message_id": own, "subject": "A question"},
    )


def to(message: InboundMessage, recipient: str) -> InboundMessage:
    """The same to another address of ours."""
    return replace(message, recipient=recipient)


def call(text: str, call_id: str, *, role: Role = Role.USER) -> InboundMessage:
    """Something said, or something that happens, in a call."""
    return InboundMessage(
        channel=Channel.VOICE,
        provider="twilio",
        provider_message_id=f"{call_id}:{next(_numbers)}",
        sender=THEIRS,
        recipient=OURS,
        text=text,
        received_at=1_700_000_000 * SECOND,
        thread_key=call_id,
        role=role,
    )


async def arrive(store: Store, message: InboundMessage | None = None) -> Accepted:
    """A message comes in."""
    return await store.write(accept, message or sms(), ROUTE)


async def renew(tx: Tx, worker_id: str) -> None:
    """A worker's sign of life."""
    await tx.run("worker_renew", id=worker_id, roles="turns", host="here", lifetime=LIFETIME * SECOND)


async def worker(store: Store) -> str:
    """A worker that is alive for `LIFETIME` seconds."""
    worker_id = new_id()
    await store.write(renew, worker_id)
    return worker_id


async def claimed(store: Store, conversation_id: str, worker_id: str | None = None) -> Claim:
    """The conversation's next turn, taken."""
    claim = await store.write(claim_turn, conversation_id, worker_id or await worker(store))
    assert isinstance(claim, Claim), claim
    return claim


async def refused(store: Store, conversation_id: str, worker_id: str | None = None) -> NotNow:
    """Why there is nothing to take."""
    claim = await store.write(claim_turn, conversation_id, worker_id or await worker(store))
    assert isinstance(claim, NotNow), claim
    return claim


def reply(*texts: str, path: Path = Path.SINGLE, **more: Any) -> Reply:
    """What an agent answers."""
    return Reply(messages=tuple(ReplyMessage(text=text) for text in texts), path=path, **more)


def with_messages(whole: Reply, messages: tuple[ReplyMessage, ...]) -> Reply:
    """The reply with other messages."""
    return replace(whole, messages=messages)


async def answer(store: Store, claim: Claim, *texts: str, path: Path = Path.SINGLE, **more: Any) -> Finished:
    """Commit a turn."""
    return await store.write(finish_turn, claim, reply(*(texts or ("fine",)), path=path, **more), PARTITIONS)


APPROVAL: JsonObject = {"tool_call_id": "call-1", "tool": "refund", "arguments": {"amount": 5}}


async def api_conversation(store: Store, session_type: SessionType = SessionType.LIVE) -> str:
    """A conversation by API with an end user of its own."""
    person = await store.write(
        resolve,
        ORGANIZATION,
        Address(ContactKind.USER, f"user-{next(_numbers)}"),
        verified=True,
        source="api",
    )
    new = NewConversation(
        end_user_id=person.end_user_id,
        channel=Channel.API,
        our_address=None,
        session_type=session_type,
        priority=Priority.NORMAL,
        origin=Origin.INBOUND,
        external_session_id=None,
        subject=None,
        metadata={},
        context_variables={},
    )
    conversation, created = await store.write(create, new, ROUTE)
    assert created
    return conversation.id


def api_input(text: str, *, for_update: bool = False) -> ApiInput:
    """What a client says by API."""
    return ApiInput(message_id=new_id(), text=text, reply_to="replies", stream=True, for_update=for_update)


async def say(
    store: Store, conversation_id: str, text: str = "hello", *, for_update: bool = False
) -> Submitted:
    """A turn by API is asked for."""
    said = api_input(text, for_update=for_update)
    return await store.write(submit, ORGANIZATION, conversation_id, said, PARTITIONS)


def texts_of(turn: TurnRequest) -> list[str]:
    """The input of a turn, as its agent reads it."""
    wanted = set(turn.input)
    return [m.content for m in turn.messages if m.seq in wanted]


async def operate(
    store: Store,
    conversation_id: str,
    content: str | None = None,
    *,
    operator: str = "olga",
    admin: bool = False,
    take_over: bool = False,
    return_control: bool = False,
) -> HumanTurnDone:
    """An operator does something."""
    return await store.write(
        human_turn,
        conversation_id,
        Operator(ORGANIZATION, operator, admin),
        HumanTurn(content=content, return_control=return_control, take_over=take_over),
        PARTITIONS,
    )


async def rows(store: Store, query: str, **params: Any) -> list[Row]:
    """The rows of a query of the tests."""

    async def look(tx: Tx) -> list[Row]:
        return list(await tx.all(query, **params))

    return await store.read(look)


async def conversation(store: Store, conversation_id: str) -> Row:
    """The conversation's row."""
    (row,) = await rows(store, "test_conversation", id=conversation_id)
    return row


async def postings(store: Store) -> list[tuple[str, str, JsonObject]]:
    """What is in the outbox: exchange, routing key, envelope; in no order."""
    return [
        (r["exchange"], r["routing_key"], json.loads(r["body"])) for r in await rows(store, "test_outbox")
    ]


async def posted(store: Store, kind: str) -> list[JsonObject]:
    """The envelopes of one type in the outbox."""
    return [body for _, _, body in await postings(store) if body["type"] == kind]


async def become(store: Store, conversation_id: str, session_type: SessionType) -> None:
    """As if the conversation had been begun with another session type."""

    async def change(tx: Tx) -> None:
        await tx.run("test_session_type", id=conversation_id, session_type=session_type.value)

    await store.write(change)


async def clear_outbox(store: Store) -> None:
    """As if everything had been published."""

    async def clear(tx: Tx) -> None:
        await tx.run("test_outbox_clear")

    await store.write(clear)


async def consistent(store: Store, conversation_id: str) -> None:
    """What holds for every conversation at any time."""
    row = await conversation(store, conversation_id)
    messages = await rows(store, "test_messages", id=conversation_id)
    assert [m["seq"] for m in messages] == list(range(row["message_count"]))
    timeline = await rows(store, "test_timeline", id=conversation_id)
    assert [e["number"] for e in timeline] == list(range(row["event_count"]))
    inputs = await rows(store, "test_inputs", id=conversation_id)
    assert len(inputs) == row["last_input"] - row["answered"]
    assert len({i["number"] for i in inputs}) == len(inputs)
