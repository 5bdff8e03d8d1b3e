"""A person is erased: all that was said, kept and sent of them, over crashes, and nothing of others."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import pytest

from gateway.domain.consent import ConsentSource, Evidence
from gateway.domain.conversation import Origin, Priority, SessionType
from gateway.domain.envelope import Envelope, Posting
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.identity import address_of
from gateway.domain.ids import named_id, new_id
from gateway.domain.message import Channel, SenderAuth
from gateway.domain.ports.store import Param, Row, Store, Taker, Tx, Wake
from gateway.domain.turn import Path
from gateway.service.close import close
from gateway.service.consent import revoke
from gateway.service.converse import NewConversation, create, insert
from gateway.service.dead import bury
from gateway.service.erase import AT_ONCE, GRACE, Step, erase_step, request_erasure
from gateway.service.identify import end_user, resolve
from gateway.service.mail_reports import COMPLAINT
from gateway.service.merge import merge, unmerge
from gateway.service.people import attach_contact, patch_profile
from gateway.service.postings import envelope
from gateway.service.suppress import ANY, HARD_BOUNCE, lift_by_start, suppress, suppressed
from tests.contract import scene
from tests.contract.conftest import MovableStore
from tests.contract.every_table import database, quote_everywhere, quoting
from tests.contract.scene import (
    ORGANIZATION,
    OUR_MAILBOX,
    OURS,
    PARTITIONS,
    ROUTE,
    THEIR_MAILBOX,
    THEIRS,
    answer,
    arrive,
    claimed,
    mail,
    operate,
    rows,
    sms,
)
from workers.closings import Closer
from workers.timers import erase_all

QUOTE = "the quick brown fox"
OTHER_PHONE = "+14155550199"
OUTLIVE = {"suppressions", "consents", "receipts", "analytics"}
"""Whom not to write to, since when; what would be taken twice; counts."""


async def erase(store: Store, end_user_id: str) -> None:
    await store.write(request_erasure, ORGANIZATION, end_user_id, PARTITIONS)


async def erased(store: MovableStore, end_user_id: str) -> None:
    """Erased to the end: the request, the steps, and the second look."""
    await erase(store, end_user_id)
    await erase_all(store, PARTITIONS)
    store.advance(GRACE / 1_000_000 + 1)
    await erase_all(store, PARTITIONS)
    assert await store.write(erase_step, PARTITIONS) is None


async def ended(store: Store, conversation_id: str) -> None:
    await store.write(close, ORGANIZATION, conversation_id, QUOTE, PARTITIONS)


async def lived(store: MovableStore) -> str:
    """A person with two records, who said and was told things on three channels; their id."""
    texted = await arrive(store, sms(QUOTE))
    await answer(store, await claimed(store, texted.conversation_id), QUOTE)
    await ended(store, texted.conversation_id)
    await Closer(store).look()
    texted = await arrive(store, sms(QUOTE))
    await answer(store, await claimed(store, texted.conversation_id), QUOTE, path=Path.HANDOFF)
    await operate(store, texted.conversation_id, QUOTE)
    await arrive(store, sms(QUOTE))
    mailed = await arrive(store, mail(QUOTE))
    await answer(store, await claimed(store, mailed.conversation_id), QUOTE)
    called = await arrive(store, scene.call(QUOTE, "call-1"))
    hold = {**scene.APPROVAL, "arguments": {"text": QUOTE}}
    await answer(
        store, await claimed(store, called.conversation_id), QUOTE, path=Path.APPROVAL, approval=hold
    )
    await store.write(patch_profile, ORGANIZATION, texted.end_user_id, {"name": QUOTE})
    await store.write(merge, ORGANIZATION, texted.end_user_id, mailed.end_user_id)
    return texted.end_user_id


async def test_nothing_of_an_erased_person_is_left_in_any_table(
    store: MovableStore, database_url: str
) -> None:
    place = database(database_url)
    other = await arrive(store, sms("a stranger said this", sender=OTHER_PHONE))
    person = await lived(store)
    (*_, newest) = [c for c in await rows(store, "test_conversations") if c["end_user_id"] == person]
    await scene.clear_outbox(store)
    filled = await quote_everywhere(place, newest["id"], person, QUOTE)
    assert len(filled) > 15
    await erase(store, person)
    await erase_all(store, PARTITIONS)
    # what is on its way to the queues says that the conversations ended, and no more
    assert await quoting(place, QUOTE) <= OUTLIVE
    assert await quoting(place, THEIRS) - OUTLIVE == {"erasures", "outbox"}
    await scene.clear_outbox(store)
    store.advance(GRACE / 1_000_000 + 1)
    await erase_all(store, PARTITIONS)
    assert await quoting(place, THEIRS) <= OUTLIVE
    assert await quoting(place, THEIR_MAILBOX) == set()
    assert [c["id"] for c in await rows(store, "test_conversations")] == [other.conversation_id]
    assert await quoting(place, "a stranger said this") == {"messages"}
    assert await quoting(place, OTHER_PHONE) == {"contacts", "conversations"}
    shown = await store.read(end_user, ORGANIZATION, person)
    assert shown is not None
    assert (shown.profile, shown.contacts, shown.erased_at is not None) == ({}, (), True)


class _Crashed(Exception):
    pass


class Crashing:
    """A unit of work that dies at its statement number `at`."""

    def __init__(self, tx: Tx, at: int) -> None:
        self._tx = tx
        self._left = at

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise _Crashed

    @property
    def dialect(self) -> Literal["sqlite", "postgres"]:
        return self._tx.dialect

    async def one(self, query: str, /, **params: Param) -> Row | None:
        self._count()
        return await self._tx.one(query, **params)

    async def all(self, query: str, /, **params: Param) -> Sequence[Row]:
        self._count()
        return await self._tx.all(query, **params)

    async def run(self, query: str, /, **params: Param) -> int:
        self._count()
        return await self._tx.run(query, **params)

    async def many(self, query: str, rows: Sequence[Mapping[str, Param]], /) -> None:
        self._count()
        await self._tx.many(query, rows)

    async def later(self, query: str, /, **params: Param) -> None:
        self._count()
        await self._tx.later(query, **params)

    async def expect(self, query: str, assume: Row | None = None, /, **params: Param) -> Row | None:
        self._count()
        return await self._tx.expect(query, assume, **params)

    async def known(self, row: Row, /) -> Row:
        return await self._tx.known(row)

    def after_commit(self, wake: Wake, /) -> None:
        self._tx.after_commit(wake)

    @property
    def taker(self) -> Taker | None:
        return self._tx.taker

    def hand_over(self, posting: Posting, /) -> None:
        self._tx.hand_over(posting)


async def test_a_crash_at_any_statement_of_any_step_is_made_good(
    store: MovableStore, database_url: str
) -> None:
    person = await lived(store)

    async def dying(tx: Tx, at: int) -> Step | None:
        return await erase_step(Crashing(tx, at), PARTITIONS)

    async def stepped() -> Step | None:
        for at in range(0, 200, 1 if database_url.startswith("sqlite") else 7):
            try:
                return await store.write(dying, at)
            except _Crashed:
                continue
        raise AssertionError("a step takes few statements")

    await erase(store, person)
    while (step := await stepped()) is not None:
        assert not step.finished
    store.advance(GRACE / 1_000_000 + 1)
    finishing = [await stepped(), await stepped()]
    assert finishing == [Step(person, finished=True), None]
    assert await rows(store, "test_conversations") == []
    await scene.clear_outbox(store)
    assert await quoting(database(database_url), QUOTE) <= OUTLIVE


async def test_steps_of_several_processes_do_not_get_in_each_other_s_way(store: MovableStore) -> None:
    people = [await lived(store)]
    for number in range(3):
        accepted = await arrive(store, sms(sender=f"+1415555020{number}"))
        people.append(accepted.end_user_id)
    await asyncio.gather(*(erase(store, person) for person in (*people, *people)))
    await asyncio.gather(*(erase_all(store, PARTITIONS) for _ in range(3)))
    while await erase_all(store, PARTITIONS):
        pass
    assert await rows(store, "test_conversations") == []


async def test_a_message_from_an_erased_address_makes_a_new_person(store: MovableStore) -> None:
    texted, mailed = await arrive(store, sms()), await arrive(store, mail())
    called = await arrive(store, scene.call("hello", "call-1"))
    for person in {texted.end_user_id, mailed.end_user_id}:
        await erase(store, person)
    # before anything else is done, on every way by which it would find the old conversation
    later = [
        (texted, await arrive(store, sms("again"))),
        (called, await arrive(store, scene.call("still there?", "call-1"))),
        (mailed, await arrive(store, mail("again", conversation_id=mailed.conversation_id))),
    ]
    for before, after in later:
        assert after.conversation_id != before.conversation_id
        assert after.end_user_id != before.end_user_id
        row = await scene.conversation(store, after.conversation_id)
        assert "previous_conversation_id" not in row["metadata"]
    await erase_all(store, PARTITIONS)
    kept = {c["id"] for c in await rows(store, "test_conversations")}
    assert kept == {after.conversation_id for _, after in later}


async def test_all_merged_records_are_erased_whichever_is_named(store: MovableStore) -> None:
    texted, mailed = await arrive(store, sms()), await arrive(store, mail())
    await store.write(merge, ORGANIZATION, texted.end_user_id, mailed.end_user_id)
    await erased(store, mailed.end_user_id)
    assert await rows(store, "test_conversations") == []
    assert {bool(row["erased_at"]) for row in await rows(store, "test_end_users")} == {True}
    assert await rows(store, "test_contacts") == []
    address = address_of(Channel.API, "more")
    other = await store.write(resolve, ORGANIZATION, address, verified=True, source="test")
    for unit in (
        store.write(unmerge, ORGANIZATION, mailed.end_user_id),
        store.write(merge, ORGANIZATION, other.end_user_id, texted.end_user_id),
        store.write(patch_profile, ORGANIZATION, texted.end_user_id, {}),
        store.write(attach_contact, ORGANIZATION, texted.end_user_id, address, "operator"),
    ):
        with pytest.raises(GatewayError) as refused:
            await unit
        assert refused.value.code is ErrorCode.END_USER_ERASED
    await erase(store, texted.end_user_id)  # once more: nothing
    assert await store.write(erase_step, PARTITIONS) is None


async def test_who_is_not_known_is_not_erased(store: MovableStore) -> None:
    accepted = await arrive(store)
    for organization_id, end_user_id in (
        (ORGANIZATION, new_id()),
        (named_id("another organisation"), accepted.end_user_id),
    ):
        with pytest.raises(GatewayError) as refused:
            await store.write(request_erasure, organization_id, end_user_id, PARTITIONS)
        assert refused.value.code is ErrorCode.NOT_FOUND


async def test_the_wish_to_be_left_alone_outlives_the_person(store: MovableStore) -> None:
    one, two = await arrive(store, sms()), await arrive(store, sms(sender=OTHER_PHONE))
    await store.write(merge, ORGANIZATION, one.end_user_id, two.end_user_id)
    said = Evidence(source=ConsentSource.KEYWORD, detail=QUOTE, conversation_id=one.conversation_id)
    await store.write(revoke, ORGANIZATION, Channel.SMS, (OURS, THEIRS), said)
    await erased(store, one.end_user_id)
    (wish,) = await rows(store, "test_consents")
    assert (wish["their_address"], wish["state"], wish["source"]) == (THEIRS, "opted_out", "keyword")
    assert (wish["detail"], wish["conversation_id"], wish["message_id"]) == (None, None, None)
    await arrive(store, sms(sender=OTHER_PHONE))
    for number in (THEIRS, OTHER_PHONE):
        assert await store.read(suppressed, ORGANIZATION, Channel.SMS, OURS, number)
    # each is an address of its own now, and takes its own wish back
    assert await store.write(lift_by_start, ORGANIZATION, Channel.SMS, (OURS, OTHER_PHONE))
    assert not await store.read(suppressed, ORGANIZATION, Channel.SMS, OURS, OTHER_PHONE)
    assert await store.read(suppressed, ORGANIZATION, Channel.SMS, OURS, THEIRS)


async def test_the_wish_outlives_the_person_where_mail_had_come_back_too(store: MovableStore) -> None:
    mailed = await arrive(store, mail())
    other = address_of(Channel.EMAIL, "ada@work.example")
    await store.write(attach_contact, ORGANIZATION, mailed.end_user_id, other, "operator")
    for mailbox, reason in ((THEIR_MAILBOX, HARD_BOUNCE), (other.value, COMPLAINT)):
        await store.write(suppress, ORGANIZATION, Channel.EMAIL, (ANY, mailbox), reason)
    await erased(store, mailed.end_user_id)
    await arrive(store, mail("me again"))
    for mailbox in (THEIR_MAILBOX, other.value):
        assert await store.read(suppressed, ORGANIZATION, Channel.EMAIL, OUR_MAILBOX, mailbox)


def of_organisation(organization_id: str) -> Envelope:
    return envelope("turn.due", {}, at=0, organization_id=organization_id, conversation_id=None)


async def test_dead_letters_that_quote_are_erased_and_no_others(store: MovableStore) -> None:
    texted, mailed = await arrive(store, sms()), await arrive(store, mail())
    await store.write(merge, ORGANIZATION, texted.end_user_id, mailed.end_user_id)

    async def buried(tx: Tx, body: str, organization_id: str | None = None) -> str:
        known = organization_id and of_organisation(organization_id)
        return await bury(tx, "turns", "not valid", body, envelope=known or None)

    quoting_them = [f"From={THEIRS.replace('+', '%2B')}&Body=hi", f"From: <{THEIR_MAILBOX.upper()}>", THEIRS]
    others = [f"{THEIRS}0", f"b{THEIR_MAILBOX}", f"{THEIR_MAILBOX}.org", "nobody", "x" * 200_000]
    for body in (*quoting_them, *others):
        await store.write(buried, body)
    elsewhere = await store.write(buried, THEIRS, named_id("another organisation"))
    for _ in range(30):
        await store.write(buried, "nobody")
    await store.write(buried, texted.end_user_id)
    await erased(store, mailed.end_user_id)
    left = await rows(store, "test_dead_letters")
    assert {row["body"] for row in left if row["id"] != elsewhere} == set(others)
    assert elsewhere in {row["id"] for row in left}


async def test_what_ran_beside_the_request_is_found_the_second_time(store: MovableStore) -> None:
    accepted = await arrive(store)
    await erase(store, accepted.end_user_id)
    await erase_all(store, PARTITIONS)
    late = NewConversation(
        end_user_id=accepted.end_user_id,
        channel=Channel.API,
        our_address=None,
        session_type=SessionType.LIVE,
        priority=Priority.NORMAL,
        origin=Origin.INBOUND,
        external_session_id=None,
        subject=None,
        metadata={},
        context_variables={},
    )
    # it had read the person before they were erased
    await store.write(insert, late, ROUTE, None)
    store.advance(GRACE / 1_000_000 + 1)
    await erase_all(store, PARTITIONS)
    assert await rows(store, "test_conversations") == []
    with pytest.raises(GatewayError) as refused:
        await store.write(create, replace(late, channel=Channel.SMS, our_address=OURS), ROUTE)
    assert refused.value.code is ErrorCode.END_USER_NOT_FOUND


async def test_more_conversations_than_the_request_ends(store: MovableStore) -> None:
    person = (await arrive(store, mail())).end_user_id
    for _ in range(AT_ONCE + 5):
        await arrive(store, mail())
    await erase(store, person)
    still_open = [c for c in await rows(store, "test_conversations") if c["ended_at"] is None]
    assert len(still_open) == 6
    await erase_all(store, PARTITIONS)
    assert await rows(store, "test_conversations") == []


async def test_an_unverified_claim_is_not_the_person_it_claims_to_be(store: MovableStore) -> None:
    proven = await arrive(store, mail())
    claimed_to_be = await arrive(store, mail(auth=SenderAuth.UNVERIFIED))
    await erased(store, proven.end_user_id)
    assert [c["id"] for c in await rows(store, "test_conversations")] == [claimed_to_be.conversation_id]
