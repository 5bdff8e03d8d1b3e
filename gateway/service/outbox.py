"""The outbox as relays and the embedded bus use it: claim by expiry, publish, delete."""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from gateway.domain.clock import SECOND
from gateway.domain.envelope import Envelope, Posting
from gateway.domain.ports.store import Store, Tx, Wake
from gateway.service.dead import bury
from gateway.store.engine import single_statement


class StoredOutbox:
    """The outbox table behind the port of the same name."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def claim(self, limit: int, claim_seconds: float) -> Sequence[Posting]:
        """Rows that are due, claimed for `claim_seconds`."""
        return await self._store.write(_claim, limit, int(claim_seconds * SECOND))

    async def done(self, ids: Sequence[str]) -> None:
        """Delete rows that have been published, or worked off."""
        await self._store.write(_done, ids)

    async def postpone(self, posting: Posting, delay_seconds: float) -> None:
        """Make a row due later; one that there was not is stored."""
        await self._store.write(_postpone, posting, int(delay_seconds * SECOND))

    async def give_back(self, ids: Sequence[str]) -> None:
        """Make rows due at once, and wake whoever looks for them."""
        await self._store.write(_give_back, ids)

    async def next_due(self) -> float | None:
        """Seconds until the next row is due."""
        return await self._store.read(_next_due)

    async def bury(self, queue: str, reason: str, body: str, headers: Mapping[str, str]) -> None:
        """Keep a message that cannot be worked off."""
        await self._store.write(_bury, queue, reason, body, dict(headers))


@single_statement
async def _claim(tx: Tx, limit: int, claim: int) -> list[Posting]:
    rows = await tx.all("outbox_claim", limit=limit, claim=claim)
    return [
        Posting(r["id"], r["exchange"], r["routing_key"], r["body"], r["traceparent"], r["attempt"])
        for r in sorted(rows, key=lambda r: str(r["id"]))
    ]


@single_statement
async def _done(tx: Tx, ids: Sequence[str]) -> None:
    await tx.run("outbox_delete", ids=list(ids))


@single_statement
async def _postpone(tx: Tx, posting: Posting, delay: int) -> None:
    await tx.run(
        "outbox_postpone",
        id=posting.id,
        exchange=posting.exchange,
        routing_key=posting.routing_key,
        body=posting.body,
        traceparent=posting.traceparent,
        attempt=posting.attempt,
        delay=delay,
    )


async def _give_back(tx: Tx, ids: Sequence[str]) -> None:
    for posting_id in ids:
        await tx.later("outbox_hurry", id=posting_id)
    tx.after_commit(Wake.OUTBOX)


@single_statement
async def _next_due(tx: Tx) -> float | None:
    row = await tx.one("outbox_next_due")
    return None if row is None or row["wait"] is None else row["wait"] / SECOND


async def _bury(tx: Tx, queue: str, reason: str, body: str, headers: dict[str, str]) -> None:
    try:
        envelope = Envelope.model_validate_json(body)
    except ValidationError:
        envelope = None
    await bury(tx, queue, reason, body, headers=headers, envelope=envelope)
