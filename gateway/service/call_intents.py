"""What voice hosts were told to do: kept from the moment it is posted until its host says how it ended.

The first end counts. A host that gives no sign of life for too long, or whose queue nobody has, is lost: the
gateway says so itself, with an event like any other of a host's.
"""

from typing import Any

from pydantic import ValidationError

from gateway.domain.clock import SECOND, rfc3339
from gateway.domain.envelope import Envelope, Exchange
from gateway.domain.ids import named_id
from gateway.domain.intent import CallTransferIntent, IntentKind, WarmTransfer
from gateway.domain.message import JsonObject
from gateway.domain.outcome import TransferState
from gateway.domain.ports.store import Row, Tx
from gateway.domain.spoken import speaking_time
from gateway.domain.timeline import EventKind
from gateway.domain.voice import VALID_SECONDS, VoiceIntent
from gateway.domain.wire import IntentReport
from gateway.service.postings import envelope, post
from gateway.service.timeline import append_event

GRACE_SECONDS = 15
"""After an intent's `not_after`, for the report of a host that began in time."""
SILENCE_SECONDS = 180
"""Between two reports about a transfer: longer than any one of its states lasts."""

_TOLD = frozenset({IntentKind.TRANSFER, IntentKind.COLLECT_DTMF})
"""What the timeline of the conversation shows."""


async def issue(tx: Tx, host_id: str, intent: VoiceIntent, *, at: int, organization_id: str) -> None:
    """Tell a host what to do. What is said goes to the queue that may be lost with its host."""
    waited_for = intent.kind is IntentKind.TRANSFER
    due_at = at + (VALID_SECONDS + GRACE_SECONDS) * SECOND if waited_for else None
    await note_intent(tx, organization_id, intent, due_at)
    key = host_id
    if intent.kind is IntentKind.SAY:
        key += ".say"
        text = intent.payload.get("whole") or intent.payload["text"]
        length = speaking_time(text)
        await tx.run("call_said", host_id=host_id, call_id=intent.call_id, length=length)
    told = envelope(
        "voice.intent",
        intent.model_dump(mode="json"),
        at=at,
        organization_id=organization_id,
        conversation_id=intent.conversation_id,
    )
    await post(tx, Exchange.VOICE, key, told)


async def note_intent(tx: Tx, organization_id: str, intent: VoiceIntent, due_at: int | None = None) -> None:
    """Keep what is to be done on a call until its end is known; `due_at`: when its host counts as lost."""
    await tx.run(
        "intent_insert",
        intent_id=intent.intent_id,
        call_id=intent.call_id,
        organization_id=organization_id,
        conversation_id=intent.conversation_id,
        kind=intent.kind.value,
        patience=_patience(intent) * SECOND,
        due_at=due_at,
    )


def _patience(intent: VoiceIntent) -> int:
    """Seconds."""
    if intent.kind is not IntentKind.TRANSFER:
        return SILENCE_SECONDS
    warm = CallTransferIntent.model_validate(intent.payload).warm or WarmTransfer(max_hold_seconds=0)
    return max(SILENCE_SECONDS, warm.max_hold_seconds + GRACE_SECONDS)


async def note_progress(tx: Tx, report: IntentReport) -> None:
    """A host says how far it is. Of an intent that has ended, or was never issued, it changes nothing."""
    row = await tx.one("intent_progress", **_place(report), seq=-1 if report.seq is None else report.seq)
    if row is not None:
        await _show(tx, row, report)


async def settle_intent(tx: Tx, report: IntentReport, report_id: str) -> IntentKind | None:
    """A host says how an intent ended; its kind, or None where it was never issued or ended otherwise.

    The same report may come again, and is answered as before.
    """
    row = await tx.one("intent_end", **_place(report), state=report.state, ended_by=report_id)
    if row is None:
        return None
    await _show(tx, row, report)
    await tx.run("call_spoken", conversation_id=row["conversation_id"], call_id=report.call_id)
    return IntentKind(row["kind"])


def _place(report: IntentReport) -> JsonObject:
    return {"intent_id": report.intent_id, "call_id": report.call_id}


async def _show(tx: Tx, row: Row, report: IntentReport) -> None:
    kind = IntentKind(row["kind"])
    if kind not in _TOLD:
        return
    told = report.model_dump(
        include={"attempt", "destination_index", "reason", "sip_code", "method_used"}, exclude_none=True
    )
    body = {"intent_id": report.intent_id, "kind": kind.value, "payload": told, "state": report.state}
    await append_event(tx, row["conversation_id"], EventKind.INTENT, body)


async def lose_overdue(tx: Tx) -> int:
    """Give up transfers whose host has been silent for too long; how many."""
    lost = 0
    for row in await tx.all("intents_overdue"):
        lost += await _lose(tx, row["intent_id"])
    return lost


async def lose_unroutable(tx: Tx, body: str) -> bool:
    """An intent that no queue takes: whether it was one that we wait for, and its host is lost now."""
    try:
        intent_id = Envelope.model_validate_json(body).data.get("intent_id")
    except ValidationError:
        return False
    return isinstance(intent_id, str) and await _lose(tx, intent_id)


async def _lose(tx: Tx, intent_id: str) -> bool:
    row = await tx.one("intent_lose", intent_id=intent_id)
    if row is None:
        return False
    lost: dict[str, Any] = {
        "kind": "intent.outcome",
        "call_id": row["call_id"],
        "intent_id": intent_id,
        "seq": None,
        "state": TransferState.HOST_LOST.value,
        "at": rfc3339(row["at"]),
    }
    event = envelope(
        "voice.event",
        lost,
        at=row["at"],
        organization_id=row["organization_id"],
        conversation_id=row["conversation_id"],
    )
    # however often it is said: the transcript has it once
    event = event.model_copy(update={"id": named_id(intent_id, lost["state"])})
    await post(tx, Exchange.VOICE_EVENTS, "event", event)
    return True
