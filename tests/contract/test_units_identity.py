"""People: one record per address, merged and unmerged without losing anything; whom we must not write to."""

import asyncio
from dataclasses import replace

import pytest

from gateway.domain.conversation import Origin, Priority, SessionType
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.identity import Address, ContactKind, address_of
from gateway.domain.ids import new_id
from gateway.domain.message import Channel, SenderAuth
from gateway.domain.ports.store import Store, Tx
from gateway.service.accept import Route
from gateway.service.begin import begin_test
from gateway.service.converse import NewConversation, create
from gateway.service.history import person_conversations
from gateway.service.identify import Resolved, end_user, person_of, resolve
from gateway.service.merge import MAX_RECORDS, merge, unmerge, unmerge_from
from gateway.service.people import MAX_CONTACTS, attach_contact, patch_profile
from gateway.service.suppress import ANY, lift, suppress, suppressed, suppressions_of
from tests.contract import scene
from tests.contract.scene import ORGANIZATION, OURS, ROUTE, THEIR_MAILBOX, THEIRS, arrive, mail, rows, sms

OTHER_PHONE = "+14155550199"


async def known(store: Store, channel: Channel, identifier: str) -> Resolved:
    """Who is behind an address."""
    address = address_of(channel, identifier)
    return await store.write(resolve, ORGANIZATION, address, verified=True, source="test")


async def record(store: Store, channel: Channel, identifier: str) -> str:
    return (await known(store, channel, identifier)).record_id


async def refusal(store: Store, into: str, other: str) -> ErrorCode:
    with pytest.raises(GatewayError) as refused:
        await store.write(merge, ORGANIZATION, into, other)
    return refused.value.code


async def history(store: Store, end_user_id: str) -> list[str]:
    page = await store.read(person_conversations, ORGANIZATION, end_user_id, None, 200)
    return [c.id for c in page.items]


def wanted(end_user_id: str, channel: Channel = Channel.SMS) -> NewConversation:
    ours = scene.OUR_MAILBOX if channel is Channel.EMAIL else OURS
    return NewConversation(
        end_user_id=end_user_id,
        channel=channel,
        our_address=ours if channel.delivers else None,
        session_type=SessionType.LIVE,
        priority=Priority.NORMAL,
        origin=Origin.OUTBOUND,
        external_session_id=None,
        subject=None,
        metadata={},
        context_variables={},
    )


async def test_one_number_is_one_person_on_sms_and_voice(store: Store) -> None:
    texted = await arrive(store, sms())
    called = await arrive(store, scene.call("hello", "call-1"))
    assert called.end_user_id == texted.end_user_id
    assert (await known(store, Channel.VOICE, THEIRS)).end_user_id == texted.end_user_id
    assert await history(store, texted.end_user_id) == [called.conversation_id, texted.conversation_id]


async def test_a_claimed_address_is_verified_by_who_writes_from_it(store: Store) -> None:
    for channel, address, message in ((Channel.SMS, THEIRS, sms()), (Channel.EMAIL, THEIR_MAILBOX, mail())):
        claimed = address_of(channel, address)
        found = await store.write(resolve, ORGANIZATION, claimed, verified=False, source="api")
        shown = await store.read(end_user, ORGANIZATION, found.end_user_id)
        assert shown is not None
        assert [c.verified for c in shown.contacts] == [False]
        assert (await arrive(store, message)).end_user_id == found.end_user_id
        shown = await store.read(end_user, ORGANIZATION, found.end_user_id)
        assert shown is not None
        assert [(c.verified, c.source) for c in shown.contacts] == [(True, "api")]


async def test_unproven_mail_verifies_nothing(store: Store) -> None:
    claimed = address_of(Channel.EMAIL, THEIR_MAILBOX)
    found = await store.write(resolve, ORGANIZATION, claimed, verified=False, source="api")
    assert (await arrive(store, mail(auth=SenderAuth.UNVERIFIED))).end_user_id != found.end_user_id
    assert [bool(c["verified"]) for c in await rows(store, "test_contacts")] == [False, False]


async def test_a_hundred_at_once_make_one_person(store: Store) -> None:
    found = await asyncio.gather(*(known(store, Channel.SMS, THEIRS) for _ in range(100)))
    assert len({f.end_user_id for f in found}) == 1
    assert sum(f.created for f in found) == 1
    assert len(await rows(store, "test_end_users")) == 1


async def test_merged_records_answer_as_one_and_keep_their_own(store: Store) -> None:
    texted, mailed = await arrive(store, sms()), await arrive(store, mail())
    into, joining = texted.end_user_id, mailed.end_user_id
    merged = await store.write(merge, ORGANIZATION, into, joining)
    assert {c.value for c in merged.contacts} == {THEIRS, THEIR_MAILBOX}
    assert (await known(store, Channel.EMAIL, THEIR_MAILBOX)).end_user_id == into
    both = [mailed.conversation_id, texted.conversation_id]
    assert await history(store, into) == both
    assert await history(store, joining) == both
    shown = await store.read(end_user, ORGANIZATION, joining)
    assert shown is not None
    assert (shown.merged_into, [c.value for c in shown.contacts]) == (into, [THEIR_MAILBOX])
    # what comes in meanwhile goes on where it was, and is theirs again afterwards
    again = await arrive(store, mail("more", answers=[], conversation_id=mailed.conversation_id))
    assert again.conversation_id == mailed.conversation_id
    begun = await arrive(store, mail("something else"))
    assert len(await history(store, into)) == 3
    restored = await store.write(unmerge, ORGANIZATION, joining)
    assert (restored.merged_into, [c.value for c in restored.contacts]) == (None, [THEIR_MAILBOX])
    assert (await known(store, Channel.EMAIL, THEIR_MAILBOX)).end_user_id == joining
    assert await history(store, into) == [texted.conversation_id]
    assert await history(store, joining) == [begun.conversation_id, mailed.conversation_id]


async def test_open_text_conversations_of_merged_people_go_on_side_by_side(store: Store) -> None:
    one, two = await arrive(store, sms()), await arrive(store, sms(sender=OTHER_PHONE))
    await store.write(merge, ORGANIZATION, one.end_user_id, two.end_user_id)
    for before, sender in ((one, THEIRS), (two, OTHER_PHONE)):
        after = await arrive(store, sms("again", sender=sender))
        assert after.conversation_id == before.conversation_id
        assert (await scene.conversation(store, after.conversation_id))["their_address"] == sender
    open_ones = await rows(store, "test_conversations")
    assert len({(c["our_address"], c["end_user_id"]) for c in open_ones}) == len(open_ones) == 2


async def test_a_conversation_begun_by_api_belongs_to_the_record_of_its_address(store: Store) -> None:
    texted = await arrive(store, sms())
    mailbox = await record(store, Channel.EMAIL, THEIR_MAILBOX)
    await store.write(merge, ORGANIZATION, mailbox, texted.end_user_id)
    found, created = await store.write(create, wanted(mailbox), ROUTE)
    assert (found.id, found.end_user_id, created) == (texted.conversation_id, texted.end_user_id, False)
    made, _ = await store.write(create, wanted(mailbox, Channel.EMAIL), ROUTE)
    assert (made.end_user_id, made.their_address) == (mailbox, THEIR_MAILBOX)
    by_api, _ = await store.write(create, wanted(texted.end_user_id, Channel.API), ROUTE)
    assert by_api.end_user_id == texted.end_user_id


async def test_whatsapp_and_numbers_are_written_to_by_their_like(store: Store) -> None:
    theirs = f"whatsapp:{OTHER_PHONE}"
    chatted = await arrive(store, sms(sender=theirs))
    with pytest.raises(GatewayError) as refused:
        await store.write(create, wanted(chatted.end_user_id), ROUTE)
    assert refused.value.code is ErrorCode.NO_ADDRESS
    ours = f"whatsapp:{OURS}"
    made, _ = await store.write(create, replace(wanted(chatted.end_user_id), our_address=ours), ROUTE)
    assert (made.our_address, made.their_address) == (ours, theirs)
    texted = await arrive(store, sms())
    with pytest.raises(GatewayError) as refused:
        await store.write(create, replace(wanted(texted.end_user_id), our_address=ours), ROUTE)
    assert refused.value.code is ErrorCode.NO_ADDRESS


async def test_merges_in_a_row_come_apart_in_any_order(store: Store) -> None:
    a, b, c = [await record(store, Channel.API, name) for name in "abc"]
    await store.write(merge, ORGANIZATION, b, a)
    await store.write(merge, ORGANIZATION, c, b)
    person = await store.read(person_of, ORGANIZATION, a)
    assert person is not None
    assert (person.id, set(person.records)) == (c, {a, b, c})
    await store.write(unmerge_from, ORGANIZATION, c, b)
    assert (await known(store, Channel.API, "a")).end_user_id == b
    assert (await known(store, Channel.API, "c")).end_user_id == c
    await store.write(merge, ORGANIZATION, c, b)
    await store.write(unmerge_from, ORGANIZATION, b, a)
    assert (await known(store, Channel.API, "a")).end_user_id == a
    assert (await known(store, Channel.API, "b")).end_user_id == c


async def test_merges_that_are_refused(store: Store) -> None:
    a, b, c = [await record(store, Channel.API, name) for name in "abc"]
    assert await refusal(store, a, a) is ErrorCode.INVALID_MERGE
    assert await refusal(store, a, new_id()) is ErrorCode.NOT_FOUND
    await store.write(merge, ORGANIZATION, a, b)
    assert await refusal(store, b, a) is ErrorCode.INVALID_MERGE
    assert await refusal(store, b, c) is ErrorCode.INVALID_MERGE
    assert await refusal(store, c, b) is ErrorCode.INVALID_MERGE
    for unit, ids in ((unmerge, (a,)), (unmerge_from, (c, b)), (unmerge_from, (b, a))):
        with pytest.raises(GatewayError) as refused:
            await store.write(unit, ORGANIZATION, *ids)
        assert refused.value.code is ErrorCode.INVALID_MERGE


async def test_a_person_has_so_many_records_at_most(store: Store) -> None:
    first = await record(store, Channel.API, "0")
    for number in range(1, MAX_RECORDS):
        await store.write(merge, ORGANIZATION, first, await record(store, Channel.API, str(number)))
    last = await record(store, Channel.API, "last")
    assert await refusal(store, first, last) is ErrorCode.INVALID_MERGE
    assert await refusal(store, last, first) is ErrorCode.INVALID_MERGE


async def test_concurrent_merges_of_one_record_have_one_winner(store: Store) -> None:
    ids = [await record(store, Channel.API, str(number)) for number in range(8)]
    joining, targets = ids[0], ids[1:]
    done = await asyncio.gather(
        *(store.write(merge, ORGANIZATION, into, joining) for into in targets), return_exceptions=True
    )
    assert sum(not isinstance(result, BaseException) for result in done) == 1


async def test_an_address_is_attached_once(store: Store) -> None:
    texted = await arrive(store, sms())
    mailbox = Address(ContactKind.EMAIL, THEIR_MAILBOX)
    person, is_new = await store.write(attach_contact, ORGANIZATION, texted.end_user_id, mailbox, "operator")
    assert is_new
    assert {(c.value, c.verified, c.source) for c in person.contacts} == {
        (THEIRS, True, "sms"),
        (THEIR_MAILBOX, True, "operator"),
    }
    _, is_new = await store.write(attach_contact, ORGANIZATION, texted.end_user_id, mailbox, "operator")
    assert not is_new
    assert (await arrive(store, mail())).end_user_id == texted.end_user_id
    other = await record(store, Channel.API, "other")
    with pytest.raises(GatewayError) as refused:
        await store.write(attach_contact, ORGANIZATION, other, mailbox, "operator")
    assert refused.value.code is ErrorCode.CONTACT_IN_USE


async def test_attaching_an_unverified_address_of_one_s_own_verifies_it(store: Store) -> None:
    claimed = Address(ContactKind.EMAIL, THEIR_MAILBOX)
    found = await store.write(resolve, ORGANIZATION, claimed, verified=False, source="api")
    person, is_new = await store.write(attach_contact, ORGANIZATION, found.end_user_id, claimed, "operator")
    assert (is_new, [c.verified for c in person.contacts]) == (False, [True])


async def test_a_person_has_so_many_contacts_at_most(store: Store) -> None:
    person = await record(store, Channel.API, "0")
    for number in range(1, MAX_CONTACTS):
        address = Address(ContactKind.USER, str(number))
        await store.write(attach_contact, ORGANIZATION, person, address, "operator")
    with pytest.raises(GatewayError) as refused:
        await store.write(attach_contact, ORGANIZATION, person, Address(ContactKind.USER, "more"), "operator")
    assert refused.value.code is ErrorCode.VALIDATION_ERROR


async def test_profiles_are_patched_one_after_the_other(store: Store) -> None:
    person = await record(store, Channel.API, "0")
    patches = [{f"k{number}": number} for number in range(20)]
    await asyncio.gather(*(store.write(patch_profile, ORGANIZATION, person, patch) for patch in patches))
    shown = await store.write(patch_profile, ORGANIZATION, person, {"k0": None, "deep": {"a": 1}})
    assert shown.profile == {**{f"k{number}": number for number in range(1, 20)}, "deep": {"a": 1}}


async def test_a_suppressed_address_is_not_written_to(store: Store) -> None:
    texted = await arrive(store, sms())
    assert await store.write(suppress, ORGANIZATION, Channel.SMS, (OURS, THEIRS), "stop")
    assert not await store.write(suppress, ORGANIZATION, Channel.SMS, (OURS, THEIRS), "stop")
    assert await store.read(suppressed, ORGANIZATION, Channel.SMS, OURS, THEIRS)
    assert not await store.read(suppressed, ORGANIZATION, Channel.SMS, "+15550101", THEIRS)
    assert not await store.read(suppressed, ORGANIZATION, Channel.VOICE, OURS, THEIRS)
    with pytest.raises(GatewayError) as refused:
        await store.write(create, wanted(texted.end_user_id), ROUTE)
    assert refused.value.code is ErrorCode.SUPPRESSED
    assert await store.write(lift, ORGANIZATION, Channel.SMS, (OURS, THEIRS))
    assert not await store.write(lift, ORGANIZATION, Channel.SMS, (OURS, THEIRS))
    found, _ = await store.write(create, wanted(texted.end_user_id), ROUTE)
    assert found.id == texted.conversation_id


async def test_suppressions_of_merged_people_are_united(store: Store) -> None:
    one, two = await record(store, Channel.SMS, THEIRS), await record(store, Channel.SMS, OTHER_PHONE)
    await store.write(suppress, ORGANIZATION, Channel.SMS, (ANY, OTHER_PHONE), "stop")
    await store.write(merge, ORGANIZATION, one, two)
    assert await store.read(suppressed, ORGANIZATION, Channel.SMS, OURS, THEIRS)
    person = await store.read(person_of, ORGANIZATION, one)
    assert person is not None
    in_force = await store.read(suppressions_of, ORGANIZATION, person)
    assert {(s.their_address, s.derived) for s in in_force} == {(THEIRS, True), (OTHER_PHONE, False)}
    # the one number cannot take back what was asked for from the other
    assert not await store.write(lift, ORGANIZATION, Channel.SMS, (ANY, THEIRS))
    assert await store.read(suppressed, ORGANIZATION, Channel.SMS, OURS, THEIRS)
    await store.write(unmerge, ORGANIZATION, two)
    assert not await store.read(suppressed, ORGANIZATION, Channel.SMS, OURS, THEIRS)
    assert await store.read(suppressed, ORGANIZATION, Channel.SMS, OURS, OTHER_PHONE)


async def test_a_test_conversation_leaves_nobody_behind(store: Store) -> None:
    async def begun(tx: Tx, route: Route) -> str:
        made = await begin_test(tx, route, context_variables={}, metadata={})
        return made.id

    conversation_id = await store.write(begun, ROUTE)
    assert (await scene.conversation(store, conversation_id))["session_type"] == "test"
    assert await rows(store, "test_end_users") == []
    assert await rows(store, "test_contacts") == []
