"""Idempotency keys: what a client repeats happens once, and its repetition gets the first answer.

The key is stored in the transaction of its effect, so nothing is ever half done. A refused request
keeps no key. Turns, which take time, are in `ask_once`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.domain.clock import SECOND
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.ports.store import Tx

LIFETIME_SECONDS = 24 * 3600
"""How long a key is remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A client's Idempotency-Key in its scope."""

    organization_id: str
    route: str
    """The operation and the ids in its path."""
    key: str
    body_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request is answered: an HTTP status and the JSON text of its body."""

    status: int
    body: str
    conversation_id: str | None = None
    """The conversation, or the webhook endpoint, it is about; what is remembered of it is purged with it."""
    end_user_id: str | None = None
    """The end user it quotes; what is remembered of it is erased with them."""
    replayed: bool = False
    """Given before, to an earlier request with the same key."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier request with the same key left."""

    message_id: str | None
    answer: Answer | None
    """None where it has not been answered with success."""


async def once(tx: Tx, key: Key | None, unit: Callable[[Tx], Awaitable[Answer]]) -> Answer:
    """Run `unit` in this transaction, unless its key has been answered before.

    Raises GatewayError `idempotency_conflict` for another body under the same key.
    """
    if key is None:
        return await unit(tx)
    earlier = await take(tx, key)
    if earlier is None:
        answer = await unit(tx)
        await remember(tx, key, answer)
        return answer
    if earlier.answer is None:
        raise GatewayError(
            ErrorCode.IDEMPOTENCY_IN_PROGRESS, "a request with this Idempotency-Key has not ended yet"
        )
    return earlier.answer


async def take(
    tx: Tx, key: Key, *, message_id: str | None = None, conversation_id: str | None = None
) -> Earlier | None:
    """Take the key; what an earlier request left where there was one. Raises `idempotency_conflict`."""
    scope = {"organization_id": key.organization_id, "route": key.route, "key": key.key}
    taken = await tx.one(
        "idempotency_take",
        **scope,
        body_hash=key.body_hash,
        message_id=message_id,
        conversation_id=conversation_id,
        lifetime=LIFETIME_SECONDS * SECOND,
    )
    if taken is not None:
        return None
    row = await tx.one("idempotency_find", **scope)
    if row is None:
        raise AssertionError("a key that conflicts exists")
    if row["body_hash"] != key.body_hash:
        raise GatewayError(
            ErrorCode.IDEMPOTENCY_CONFLICT, "this Idempotency-Key was used with another body; use a new one"
        )
    if row["status"] is None:
        return Earlier(row["message_id"], None)
    return Earlier(row["message_id"], Answer(status=row["status"], body=row["answer"], replayed=True))


async def remember(tx: Tx, key: Key, answer: Answer) -> None:
    """Keep the answer for repetitions."""
    await tx.run(
        "idempotency_answer",
        organization_id=key.organization_id,
        route=key.route,
        key=key.key,
        status=answer.status,
        answer=answer.body,
        conversation_id=answer.conversation_id,
        end_user_id=answer.end_user_id,
    )
