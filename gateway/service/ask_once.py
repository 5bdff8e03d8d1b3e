"""A turn under an Idempotency-Key: asked once, however often the request is repeated.

The key is stored with the message. A repetition gets the first answer; while there is none it waits
for the turn of the first; where that turn failed it asks for the same message again.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from gateway.domain.clock import Clock
from gateway.domain.envelope import Exchange, partition
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.ids import new_id
from gateway.domain.ports.store import Row, Store, Tx
from gateway.domain.turn import InputKind, Said, TurnOutcome, TurnState
from gateway.service.ask import Put, Question, Waiting, settled
from gateway.service.brake import stopped, wait_for_release
from gateway.service.idempotency import Answer, Earlier, Key, take
from gateway.service.outcomes import Progress, progress
from gateway.service.postings import envelope, post
from gateway.service.submit import ApiInput, Submitted, inbound_of_api, submit
from gateway.store.records import conversation_of

T = TypeVar("T")

_LOOK_EVERY = 0.25
"""Seconds between two looks at the turn of another request."""


class AskedBefore(Exception):
    """The key is taken; what its first request left."""

    def __init__(self, earlier: Earlier) -> None:
        super().__init__("asked before")
        self.earlier = earlier


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream whose message is stored."""

    pieces: AsyncGenerator[Said | TurnOutcome, None]


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of the turn that an earlier request asked for."""

    outcome: TurnOutcome


class AskOnce:
    """Asks questions, with or without a key."""

    def __init__(self, store: Store, waiting: Waiting, clock: Clock) -> None:
        self._store = store
        self._waiting = waiting
        self._clock = clock

    async def turn(self, question: Question, key: Key | None) -> TurnOutcome | Found | Answer:
        """The outcome of the turn, or what an earlier request got. Raises GatewayError."""
        return await self._once(question, key, self._waiting.turn)

    async def stream(self, question: Question, key: Key | None) -> Opened | Found | Answer:
        """The turn as it is made, or what an earlier request got. Raises GatewayError."""
        return await self._once(question, key, self._open)

    async def _open(self, question: Question, put: Put) -> Opened:
        pieces = self._waiting.stream(question, put)
        return Opened(_from(await anext(pieces), pieces))

    async def _once(
        self, question: Question, key: Key | None, ask: Callable[[Question, Put], Awaitable[T]]
    ) -> T | Found | Answer:
        if key is None:
            return await ask(question, submit)
        put: Put = partial(submit_once, key=key)
        deadline = self._clock.monotonic() + self._waiting.turn_timeout
        while True:
            try:
                return await ask(question, put)
            except AskedBefore as before:
                earlier = before.earlier
            if earlier.answer is not None:
                return earlier.answer
            if earlier.message_id is None:
                raise AssertionError("a turn's key is stored with its message")
            outcome = await self._join(question.conversation_id, earlier.message_id, deadline)
            if outcome is not None:
                return Found(outcome)
            question = replace(question, message_id=earlier.message_id)
            put = resubmit

    async def _join(self, conversation_id: str, message_id: str, deadline: float) -> TurnOutcome | None:
        """The outcome of the turn another request asked for; None where it failed, or never began."""
        while True:
            found = await self._store.read(progress, conversation_id, message_id)
            if found is Progress.GONE:
                return None
            if isinstance(found, TurnOutcome) and found.state is not TurnState.RUNNING:
                return None if found.state in _FAILED else settled(found)
            if self._clock.monotonic() > deadline:
                raise GatewayError(
                    ErrorCode.IDEMPOTENCY_IN_PROGRESS,
                    "the first request with this Idempotency-Key is still running; try again later",
                )
            await asyncio.sleep(_LOOK_EVERY)


async def _from(
    first: Said | TurnOutcome, rest: AsyncGenerator[Said | TurnOutcome, None]
) -> AsyncGenerator[Said | TurnOutcome, None]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


_FAILED = frozenset({TurnState.FAILED, TurnState.DEAD})


async def submit_once(
    tx: Tx, organization_id: str, conversation_id: str, said: ApiInput, partitions: int, *, key: Key
) -> Submitted:
    """Store an input together with its key, or raise AskedBefore."""
    earlier = await take(tx, key, message_id=said.message_id, conversation_id=conversation_id)
    if earlier is not None:
        raise AskedBefore(earlier)
    return await submit(tx, organization_id, conversation_id, said, partitions)


async def resubmit(
    tx: Tx, organization_id: str, conversation_id: str, said: ApiInput, partitions: int
) -> Submitted:
    """Ask a message again whose turn failed or which was withdrawn: a new turn, no second message.

    Raises AskedBefore where another request has done so meanwhile.
    """
    row = await tx.one("conversation_lock", organization_id=organization_id, id=conversation_id)
    if row is None:
        raise GatewayError(ErrorCode.NOT_FOUND, "there is no such conversation")
    stands = await tx.one("message_position", id=said.message_id)
    if await _taken_up(tx, said.message_id, stands):
        raise AskedBefore(Earlier(said.message_id, None))
    if stands is None:
        return await submit(tx, organization_id, conversation_id, said, partitions)
    conversation = conversation_of(row)
    braked = await stopped(tx, organization_id, conversation.assigned_agent_id)
    waits = braked or not conversation.status.runs_turns
    counted = await tx.one(
        "conversation_add_input_again", id=conversation_id, waits=waits, next_turn_id=new_id()
    )
    if counted is None:
        raise GatewayError(ErrorCode.CONVERSATION_CLOSED, f"the conversation is {conversation.status}")
    turn_id = counted["next_turn_id"] if waits else new_id()
    await tx.run("message_join_turn", id=said.message_id, turn_id=turn_id)
    await tx.run(
        "input_insert",
        message_id=said.message_id,
        conversation_id=conversation_id,
        number=counted["last_input"],
        kind=(InputKind.CHANNEL if waits else InputKind.API).value,
        seq=stands["seq"],
        text=None,
        reply_to=None if waits else said.reply_to,
        stream=said.stream and not waits,
        turn_id=turn_id,
    )
    if braked:
        await wait_for_release(tx, conversation_id)
    if not waits:
        arrived = envelope(
            "message.inbound",
            inbound_of_api(conversation, said, counted["updated_at"], seq=stands["seq"]),
            at=counted["updated_at"],
            organization_id=organization_id,
            conversation_id=conversation_id,
        )
        await post(tx, Exchange.INBOUND, str(partition(conversation_id, partitions)), arrived)
    return Submitted(
        conversation=conversation,
        message_id=said.message_id,
        turn_id=turn_id,
        queued_seq=stands["seq"] if waits else None,
    )


async def _taken_up(tx: Tx, message_id: str, stands: Row | None) -> bool:
    """Whether the message waits for a turn, or has one that did not fail."""
    if await tx.one("input_by_message", message_id=message_id) is not None:
        return True
    turn = await tx.one("turn_by_id", id=stands["turn_id"]) if stands is not None else None
    return turn is not None and TurnState(turn["state"]) not in _FAILED
