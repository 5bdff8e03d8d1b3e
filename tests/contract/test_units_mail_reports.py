"""Reports about mail of ours: the message shows them, an address that is none is written to no more."""

import pytest

from gateway.domain.consent import ConsentSource, Evidence
from gateway.domain.delivery import Part, PartText
from gateway.domain.identity import Address, ContactKind
from gateway.domain.ids import new_id
from gateway.domain.mail_report import MailReport, ReportKind
from gateway.domain.message import Channel, SenderAuth
from gateway.domain.ports.store import Row, Store
from gateway.service.consent import take_back
from gateway.service.deliver import LaneClaim, claim_lane, settle_part_and_delivery
from gateway.service.expire import forget
from gateway.service.mail_reports import COMPLAINT, MOST_RETURNED, take_report
from gateway.service.parts import PartClaim, claim_part
from gateway.service.people import attach_contact
from gateway.service.suppress import ANY, BOUNCES_KEPT, lift, suppress, suppressed
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.scene import ORGANIZATION, OUR_MAILBOX, THEIR_MAILBOX, arrive, mail, rows

NOW = 1_700_000_000_000_000


async def sent(store: Store) -> tuple[str, Row]:
    """A conversation whose one reply the relay has taken, and its delivery."""
    accepted = await arrive(store, mail())
    await scene.answer(store, await scene.claimed(store, accepted.conversation_id))
    (delivery,) = await rows(store, "test_deliveries", id=accepted.conversation_id)
    claim = await store.write(claim_lane, delivery["lane"], await scene.worker(store))
    assert isinstance(claim, LaneClaim)
    part = Part(delivery_id=delivery["id"], index=0, text="", hash="")
    attempt = await store.write(claim_part, claim.ref, part, "smtp", [PartText("fine")])
    assert isinstance(attempt, PartClaim)
    own_id = f"<{delivery['id']}@example.org>"
    await store.write(settle_part_and_delivery, claim.ref, claim.delivery, part, own_id)
    return accepted.conversation_id, delivery


def report(kind: ReportKind, code: str | None = None, **about: str) -> MailReport:
    return MailReport(kind=kind, code=code, received_at=NOW, text="Away until May.", **about)


async def shown(store: Store, conversation_id: str) -> str:
    found = await rows(store, "test_messages", id=conversation_id)
    return str(next(m["delivery_status"] for m in found if m["role"] == "assistant"))


async def silenced(store: Store) -> bool:
    return await store.read(suppressed, ORGANIZATION, Channel.EMAIL, OUR_MAILBOX, THEIR_MAILBOX)


@pytest.mark.parametrize(
    ("kind", "status", "silent"),
    [
        (ReportKind.BAD_ADDRESS, "failed", True),
        (ReportKind.RETURNED, "failed", False),
        (ReportKind.DELAYED, "sent", False),
        (ReportKind.DELIVERED, "delivered", False),
        (ReportKind.COMPLAINT, "sent", True),
    ],
)
async def test_what_a_report_does(store: Store, kind: ReportKind, status: str, silent: bool) -> None:
    conversation_id, delivery = await sent(store)
    for _ in range(2):
        assert await store.write(take_report, report(kind, "5.1.1", delivery_id=delivery["id"]))
    assert await shown(store, conversation_id) == status
    assert await silenced(store) is silent
    told = await scene.posted(store, f"message.{status}")
    assert len(told) == (status != "sent")
    await scene.consistent(store, conversation_id)


async def test_a_mail_is_also_known_by_its_message(store: Store) -> None:
    conversation_id, delivery = await sent(store)
    assert await store.write(take_report, report(ReportKind.RETURNED, message_id=delivery["message_id"]))
    assert await shown(store, conversation_id) == "failed"


async def test_what_a_machine_answers_is_noted_and_rings_nobody(store: Store) -> None:
    conversation_id, delivery = await sent(store)
    await scene.clear_outbox(store)
    assert await store.write(take_report, report(ReportKind.AUTO_REPLY, delivery_id=delivery["id"]))
    note = (await rows(store, "test_messages", id=conversation_id))[-1]
    assert (note["role"], note["content"]) == ("system_event", "Away until May.")
    assert not await scene.postings(store)
    await scene.consistent(store, conversation_id)


async def test_a_report_about_nothing_of_ours_changes_nothing(store: Store) -> None:
    assert not await store.write(take_report, report(ReportKind.BAD_ADDRESS, delivery_id=new_id()))
    assert not await store.write(take_report, report(ReportKind.BAD_ADDRESS, message_id=new_id()))
    assert not await store.write(take_report, report(ReportKind.BAD_ADDRESS))


async def test_an_address_that_sends_back_five_times_a_week_gets_no_more(store: MovableStore) -> None:
    for number in range(MOST_RETURNED):
        assert not await silenced(store)
        _, delivery = await sent(store)
        for _ in range(2):
            await store.write(take_report, report(ReportKind.RETURNED, "4.2.2", delivery_id=delivery["id"]))
        store.advance(3600 * (number + 1))
    assert await silenced(store)


async def test_what_came_back_long_ago_does_not_count(store: MovableStore) -> None:
    for _ in range(MOST_RETURNED):
        _, delivery = await sent(store)
        await store.write(take_report, report(ReportKind.RETURNED, "4.2.2", delivery_id=delivery["id"]))
        store.advance(2 * 86_400)
    assert not await silenced(store)


async def test_what_came_back_long_ago_is_tried_again(store: MovableStore) -> None:
    _, delivery = await sent(store)
    await store.write(take_report, report(ReportKind.BAD_ADDRESS, "5.1.1", delivery_id=delivery["id"]))
    store.advance(BOUNCES_KEPT / 1_000_000 - 60)
    await store.write(forget)
    assert await silenced(store)
    store.advance(120)
    await store.write(forget)
    assert not await silenced(store)
    assert await rows(store, "test_suppressions") == []  # the address is kept nowhere for it


@pytest.mark.parametrize("kind", [ReportKind.BAD_ADDRESS, ReportKind.COMPLAINT])
async def test_what_an_operator_lifts_is_kept_in_the_ledger_if_somebody_wished_it(
    store: MovableStore, kind: ReportKind
) -> None:
    _, delivery = await sent(store)
    await store.write(take_report, report(kind, "5.1.1", delivery_id=delivery["id"]))
    (found,) = await rows(store, "test_suppressions")
    said = Evidence(source=ConsentSource.OPERATOR, actor="Jamie")
    assert await store.write(take_back, ORGANIZATION, found["id"], said)
    assert not await silenced(store)
    assert await rows(store, "test_suppressions") == []
    kept = [(row["their_address"], row["actor"]) for row in await rows(store, "test_consents")]
    assert kept == ([] if kind is ReportKind.BAD_ADDRESS else [(THEIR_MAILBOX, "Jamie")])
    assert not await store.write(take_back, ORGANIZATION, found["id"], said)


async def test_a_complaint_holds_for_ever(store: MovableStore) -> None:
    _, delivery = await sent(store)
    await store.write(take_report, report(ReportKind.COMPLAINT, delivery_id=delivery["id"]))
    store.advance(BOUNCES_KEPT / 1_000_000 + 60)
    await store.write(forget)
    await arrive(store, mail("me again"))
    assert await silenced(store)


async def test_a_complaint_about_mail_that_came_back_before_outlives_that(store: MovableStore) -> None:
    _, delivery = await sent(store)
    for kind in (ReportKind.BAD_ADDRESS, ReportKind.COMPLAINT, ReportKind.BAD_ADDRESS):
        await store.write(take_report, report(kind, "5.1.1", delivery_id=delivery["id"]))
    await arrive(store, mail("me again"))
    assert await silenced(store)
    (kept,) = await rows(store, "test_suppressions")
    assert kept["reason"] == COMPLAINT


@pytest.mark.parametrize(("auth", "silent"), [(SenderAuth.VERIFIED, False), (SenderAuth.UNVERIFIED, True)])
async def test_who_writes_from_an_address_takes_mail_there(
    store: MovableStore, auth: SenderAuth, silent: bool
) -> None:
    _, delivery = await sent(store)
    await store.write(take_report, report(ReportKind.BAD_ADDRESS, "5.2.1", delivery_id=delivery["id"]))
    await arrive(store, mail("It works again.", auth=auth))
    assert await silenced(store) is silent
    assert bool(await rows(store, "test_suppressions")) is silent


async def test_one_dead_mailbox_says_nothing_of_its_persons_other_one(store: MovableStore) -> None:
    first = await arrive(store, mail())
    other = Address(ContactKind.EMAIL, "ada@work.example")
    await store.write(attach_contact, ORGANIZATION, first.end_user_id, other, "operator")
    _, delivery = await sent(store)
    await store.write(take_report, report(ReportKind.BAD_ADDRESS, "5.1.1", delivery_id=delivery["id"]))
    assert await silenced(store)
    assert not await store.read(suppressed, ORGANIZATION, Channel.EMAIL, OUR_MAILBOX, other.value)


@pytest.mark.parametrize("kinds", [("wish", "bounce"), ("bounce", "wish")])
async def test_a_wish_outlives_mail_that_came_back_from_the_persons_other_mailbox(
    store: MovableStore, kinds: tuple[str, str]
) -> None:
    first = await arrive(store, mail())
    other = Address(ContactKind.EMAIL, "ada@work.example")
    await store.write(attach_contact, ORGANIZATION, first.end_user_id, other, "operator")
    _, delivery = await sent(store)
    for kind in kinds:
        if kind == "wish":
            pair = (ANY, other.value)
            assert await store.write(suppress, ORGANIZATION, Channel.EMAIL, pair, COMPLAINT)
        else:
            about = report(ReportKind.BAD_ADDRESS, "5.1.1", delivery_id=delivery["id"])
            await store.write(take_report, about)
        assert await silenced(store)
    await arrive(store, mail("It works again."))
    assert await silenced(store)
    assert await store.write(lift, ORGANIZATION, Channel.EMAIL, (ANY, other.value))
    assert not await silenced(store)
