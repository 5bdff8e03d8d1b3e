"""Reports about mail of ours: shown with its message; an address that takes no mail gets no more."""

from gateway.domain.clock import SECOND
from gateway.domain.delivery import Failure, PartState, Receipt
from gateway.domain.identity import ContactKind
from gateway.domain.ids import new_id
from gateway.domain.mail_report import MailReport, ReportKind
from gateway.domain.message import Author, Channel, Message, Role
from gateway.domain.ports.store import Row, Tx
from gateway.service.consequences import draw_consequences
from gateway.service.receive import Received, receive
from gateway.service.suppress import ANY, SOFT_BOUNCES, suppress
from gateway.service.timeline import write_messages

_STATES = {
    ReportKind.BAD_ADDRESS: PartState.FAILED,
    ReportKind.RETURNED: PartState.FAILED,
    ReportKind.DELIVERED: PartState.DELIVERED,
}
MOST_RETURNED, WITHIN = 5, 7 * 86_400 * SECOND
"""Mails that came back from one address, within so many µs, after which it gets no more."""
COMPLAINT = "complaint"
"""Why an address is suppressed whose owner called a mail of ours spam."""


async def take_report(tx: Tx, report: MailReport) -> Received | None:
    """Apply a report, however often it comes; None where it is about no mail that is known (any more)."""
    delivery = await _delivery(tx, report)
    if delivery is None:
        return None
    state, received = _STATES.get(report.kind), Received.APPLIED
    if state is not None:
        received = await _settle(tx, delivery, state, report)
    if report.kind is ReportKind.BAD_ADDRESS:
        await draw_consequences(tx, delivery, Failure.BAD_ADDRESS, report.code or report.kind.value)
    if report.kind is ReportKind.RETURNED:
        await _count(tx, delivery)
    if report.kind is ReportKind.COMPLAINT:
        pair = (ANY, delivery["recipient"])
        await suppress(tx, delivery["organization_id"], Channel.EMAIL, pair, COMPLAINT)
    if report.kind is ReportKind.AUTO_REPLY:
        await _note(tx, delivery["conversation_id"], report)
    return received


async def _delivery(tx: Tx, report: MailReport) -> Row | None:
    if report.delivery_id is not None:
        return await tx.one("delivery_lock", id=report.delivery_id)
    if report.message_id is not None:
        return await tx.one("delivery_of_message", message_id=report.message_id)
    return None


async def _settle(tx: Tx, delivery: Row, state: PartState, report: MailReport) -> Received:
    part = await tx.one("part_by_reference", delivery_id=delivery["id"], number=0)
    if part is None:
        return Received.UNKNOWN_PART
    return await receive(
        tx,
        Receipt(
            provider=part["provider"] or "smtp",
            provider_message_id=part["provider_message_id"] or delivery["id"],
            state=state,
            raw_status=report.code or report.kind.value,
            error_code=(report.code or report.kind.value) if state is PartState.FAILED else None,
            delivery_id=delivery["id"],
            part_index=0,
        ),
    )


async def _count(tx: Tx, delivery: Row) -> None:
    """An address that sends back again and again is full, or nobody's any more."""
    organization_id, recipient = delivery["organization_id"], delivery["recipient"]
    row = await tx.one(
        "mail_returned_lately", organization_id=organization_id, recipient=recipient, within=WITHIN
    )
    if row is not None and row["returned"] >= MOST_RETURNED:
        await tx.run(
            "contact_undeliverable",
            organization_id=organization_id,
            kind=ContactKind.EMAIL.value,
            value=recipient,
            code=SOFT_BOUNCES,
        )
        await suppress(tx, organization_id, Channel.EMAIL, (ANY, recipient), SOFT_BOUNCES)


async def _note(tx: Tx, conversation_id: str, report: MailReport) -> None:
    """Keep what a machine answered where people see it; nobody answers it."""
    row = await tx.one("conversation_add_note", id=conversation_id)
    if row is None:
        return
    note = Message(
        id=new_id(),
        conversation_id=conversation_id,
        seq=row["message_count"] - 1,
        turn_id=None,
        role=Role.SYSTEM_EVENT,
        content=report.text,
        author=Author.SYSTEM,
        created_at=report.received_at,
        metadata={"kind": report.kind.value},
    )
    await write_messages(tx, [note], row["event_count"] - 1)
