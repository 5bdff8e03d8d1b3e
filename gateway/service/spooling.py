"""The ingress ports with the spool behind them: while the database is away, accepted means on this disk.

Only what is answered later and elsewhere is spooled: text messages, mail, receipts, the ends of calls. Any
other webhook of a call has nothing to say without the database, and is refused. While the spool is not empty
everything goes through it, so that nobody's message overtakes an earlier one of theirs; that the database may
have taken an entry already, in a commit whose answer was lost, does no harm: it knows what it has.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from enum import StrEnum
from typing import Any, ParamSpec, TypeVar

from pydantic import TypeAdapter

from gateway.domain.clock import rfc3339
from gateway.domain.delivery import Receipt
from gateway.domain.envelope import Envelope
from gateway.domain.errors import GatewayError, Unavailable
from gateway.domain.ids import named_id, new_id
from gateway.domain.message import Accepted, Channel, InboundAttachment, InboundMessage
from gateway.domain.ports.dialogue import EndCall
from gateway.domain.ports.store import Store, Tx
from gateway.service.attachments import Attachments
from gateway.service.dead import MAX_BODY
from gateway.service.ingress import Acceptance, Receipts
from gateway.store.spool import Spool, SpoolEntry
from gateway.telemetry import ACCEPTED, REPLAYED, SPOOLED
from gateway.tracing import continued, traceparent

P = ParamSpec("P")
T = TypeVar("T")

DIRECT_SECONDS = 8.0
"""A database that takes longer is as good as away: providers wait for 10 to 15 s."""
REFUSED = "ingress.refused"
"""Type of the dead letter of an entry that was accepted and could not be stored after all."""

MESSAGES: TypeAdapter[InboundMessage] = TypeAdapter(InboundMessage)
_RECEIPTS: TypeAdapter[Receipt] = TypeAdapter(Receipt)
_log = logging.getLogger(__name__)


class SpoolKind(StrEnum):
    """What an entry is."""

    MESSAGE = "message"
    RECEIPT = "receipt"
    CALL_END = "call_end"


class SpooledAcceptance:
    """The `Accept` port."""

    def __init__(self, direct: Acceptance, spool: Spool) -> None:
        self._direct = direct
        self._spool = spool

    async def __call__(self, message: InboundMessage) -> Accepted:
        """Raises UnknownAddress, or Unavailable (retryable). What was spooled has no conversation yet."""
        if not message.channel.delivers:
            return await self._direct(message)
        self._direct.route(message)  # what nobody would take in later is refused now
        accepted = await _directly(self._spool, self._direct, message)
        if accepted is not None:
            return accepted
        await _keep(self._spool, SpoolKind.MESSAGE, MESSAGES.dump_json(message))
        ACCEPTED.labels(message.channel.value, "spooled").inc()
        return Accepted(
            conversation_id="", message_id=new_id(), end_user_id="", duplicate=False, turn_expected=False
        )

    def serves(self, channel: Channel, address: str) -> bool:
        """Whether this canonical address is one of ours."""
        return self._direct.serves(channel, address)


class SpooledKeep:
    """The `KeepAttachment` port: the attachment store needs no database to take a file."""

    def __init__(self, direct: Attachments, spool: Spool) -> None:
        self._direct = direct
        self._spool = spool

    async def __call__(
        self, content: bytes, *, media_type: str, name: str | None, whole: bool = False
    ) -> InboundAttachment:
        """Raises GatewayError `payload_too_large`, or Unavailable (retryable)."""
        kept = await _directly(
            self._spool, self._direct, content, media_type=media_type, name=name, whole=whole
        )
        if kept is not None:
            return kept
        put = await self._direct.put_unnoted(content, media_type=media_type, name=name, whole=whole)
        return replace(put, noted=False)


class SpooledReceipts:
    """The `ApplyReceipt` port."""

    def __init__(self, direct: Receipts, spool: Spool) -> None:
        self._direct = direct
        self._spool = spool

    async def __call__(self, receipt: Receipt) -> None:
        """Raises Unavailable (retryable)."""
        if await _directly(self._spool, self._applied, receipt) is None:
            await _keep(self._spool, SpoolKind.RECEIPT, _RECEIPTS.dump_json(receipt))

    async def _applied(self, receipt: Receipt) -> bool:
        await self._direct(receipt)
        return True


class SpooledEnds:
    """The `EndCall` port: that a call is over is said once, and the answer is of no interest."""

    def __init__(self, direct: EndCall, spool: Spool) -> None:
        self._direct = direct
        self._spool = spool

    async def end(self, message: InboundMessage) -> None:
        """Raises UnknownAddress, or Unavailable (retryable)."""
        if await _directly(self._spool, self._ended, message) is None:
            await _keep(self._spool, SpoolKind.CALL_END, MESSAGES.dump_json(message))

    async def _ended(self, message: InboundMessage) -> bool:
        await self._direct.end(message)
        return True


async def _directly(
    spool: Spool, take_in: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
) -> T | None:
    """What the database answers; None where it is not asked, or cannot be told what became of it."""
    if spool.waiting:
        return None
    task = asyncio.ensure_future(take_in(*args, **kwargs))
    try:
        done, _ = await asyncio.wait([task], timeout=DIRECT_SECONDS)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        task.cancel()
        task.add_done_callback(_heard)
        return None
    try:
        return task.result()
    except Unavailable:
        return None


def _heard(task: asyncio.Future[Any]) -> None:
    """Whatever became of it: its entry is in the spool."""
    if not task.cancelled():
        task.exception()


async def _keep(spool: Spool, kind: SpoolKind, body: bytes) -> None:
    if not spool.waiting:
        _log.warning(
            "the database is away; what comes in is spooled", extra={"action": "spool.begin", "kind": kind}
        )
    try:
        await spool.put(kind.value, body, traceparent())
    except Unavailable:
        SPOOLED.labels(kind.value, "full").inc()
        raise
    SPOOLED.labels(kind.value, "kept").inc()


class Replay:
    """Takes spooled entries into the database."""

    def __init__(self, store: Store, accept: Acceptance, receive: Receipts, ends: EndCall) -> None:
        self._store = store
        self._accept = accept
        self._receive = receive
        self._ends = ends

    async def __call__(self, entry: SpoolEntry) -> None:
        """Store one, or keep it as a dead letter where it is refused: its sender was told that we have it.

        Raises Unavailable; the entry may then be replayed again, and again.
        """
        with continued(entry.traceparent):
            try:
                await self._apply(entry)
            except Unavailable:
                raise
            except Exception as error:
                reason = error.message if isinstance(error, GatewayError) else type(error).__name__
                await self._store.write(bury_entry, entry, reason)
                REPLAYED.labels(entry.kind, "refused").inc()
                _log.error(
                    "a spooled entry was refused",
                    extra={"action": "spool.refused", "kind": entry.kind, "reason": type(error).__name__},
                )
            else:
                REPLAYED.labels(entry.kind, "stored").inc()

    async def _apply(self, entry: SpoolEntry) -> None:
        match SpoolKind(entry.kind):
            case SpoolKind.MESSAGE:
                await self._accept(MESSAGES.validate_json(entry.body))
            case SpoolKind.CALL_END:
                await self._ends.end(MESSAGES.validate_json(entry.body))
            case SpoolKind.RECEIPT:
                await self._receive(_RECEIPTS.validate_json(entry.body))


async def bury_entry(tx: Tx, entry: SpoolEntry, reason: str) -> None:
    """Keep a refused entry, once however often it is replayed."""
    letter_id = named_id("spool", entry.slot, str(entry.number), str(entry.spooled_at))
    letter = Envelope.model_construct(
        v=1,
        id=letter_id,
        type=REFUSED,
        occurred_at=rfc3339(entry.spooled_at),
        organization_id=None,
        conversation_id=None,
        data={"kind": entry.kind, "body": entry.body.decode("utf-8", "replace")},
    )
    await tx.run(
        "dead_letter_insert",
        id=letter_id,
        organization_id=None,
        queue=f"ingress.{entry.kind}",
        reason=reason[:1000],
        body=letter.model_dump_json()[:MAX_BODY],
        headers="{}",
        conversation_id=None,
    )
