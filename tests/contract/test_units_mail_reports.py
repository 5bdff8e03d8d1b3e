"""Reports about mail of ours: the message shows them, an address that is none is written to no more."""

import pytest

from gateway.domain.delivery import Failure, Refused
from gateway.domain.ids import new_id
from gateway.domain.mail_report import MailReport, ReportKind
from gateway.domain.message import Channel
from gateway.domain.ports import Row, Store
from gateway.service.fail import fail_delivery
from gateway.service.lanes import LaneClaim, LaneRef, claim_lane
from gateway.service.mail_reports import take_report
from gateway.service.parts import PartClaim, claim_part
from gateway.service.suppress import suppressed
from tests.contract import scene
from tests.contract.scene import ORGANIZATION, OUR_MAILBOX, THEIR_MAILBOX, arrive, mail, rows

NOW = 1_700_000_000_000_000


async def sent(store: Store) -> tuple[str, Row]:
    """A conversation with one reply that the relay has taken, and its delivery."""
    accepted = await arrive(store, mail())
    await scene.answer(store, await scene.claimed(store, accepted.conversation_id))
    await scene.send_all(store)
    (delivery,) = await rows(store, "test_deliveries", id=accepted.conversation_id)
    return accepted.conversation_id, delivery


def report(kind: ReportKind, delivery: Row, code: str | None = None) -> MailReport:
    return MailReport(kind=kind, delivery_id=delivery["id"], code=code, received_at=NOW)


async def status(store: Store, conversation_id: str) -> str:
    found = await rows(store, "test_messages", id=conversation_id)
    return str(next(m["delivery_status"] for m in found if m["role"] == "assistant"))


async def silenced(store: Store) -> bool:
    return await store.read(suppressed, ORGANIZATION, Channel.EMAIL, OUR_MAILBOX, THEIR_MAILBOX)
