"""Consent: the ledger grows, suppressions follow from it, and what waits to be sent is stopped by them."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from gateway.domain.consent import ConsentRules, ConsentSource, ConsentState, Evidence, Keyword
from gateway.domain.delivery import DeliveryState, Failure, Part, PartText, Refused
from gateway.domain.ids import new_id
from gateway.domain.message import Accepted, Channel
from gateway.domain.ports.store import Store
from gateway.domain.turn_rules import TurnRules
from gateway.service.accept import Route, accept
from gateway.service.browse import Position
from gateway.service.consent import consents_page, revoke, start_again, take_back
from gateway.service.deliver import LaneClaim, claim_lane
from gateway.service.fail import fail_delivery
from gateway.service.parts import PartClaim, claim_part, settle_part
from gateway.service.respond import finish_turn
from gateway.service.suppress import (
    ANY,
    lift,
    liftable_by_start,
    suppressed,
    suppression_of,
    suppressions_page,
)
from tests.contract import scene
from tests.contract.lanes import unstored
from tests.contract.scene import (
    ORGANIZATION,
    OURS,
    PARTITIONS,
    ROUTE,
    THEIRS,
    answer,
    arrive,
    claimed,
    posted,
    rows,
    sms,
)

PAIR = (OURS, THEIRS)
SOURCES = list(ConsentSource)


def evidence(source: ConsentSource, **more: str) -> Evidence:
    return Evidence(source=source, **more)


async def out(store: Store, source: ConsentSource, pair: tuple[str, str] = PAIR) -> bool:
    return await store.write(revoke, ORGANIZATION, Channel.SMS, pair, evidence(source))


async def start(store: Store) -> bool:
    return await store.write(start_again, ORGANIZATION, Channel.SMS, PAIR, evidence(ConsentSource.KEYWORD))


async def is_suppressed(store: Store) -> bool:
    return await store.read(suppressed, ORGANIZATION, Channel.SMS, *PAIR)


async def waiting(store: Store, texts: Sequence[str]) -> tuple[str, LaneClaim, tuple[PartText, ...]]:
    """A conversation whose one reply waits to be sent in these parts, its lane held by a worker."""
    accepted = await arrive(store)
    await answer(store, await claimed(store, accepted.conversation_id), " ".join(texts))
    (delivery,) = await rows(store, "test_deliveries", id=accepted.conversation_id)
    claim = await store.write(claim_lane, delivery["lane"], await scene.worker(store))
    assert isinstance(claim, LaneClaim)
    return accepted.conversation_id, claim, tuple(PartText(text, "GSM-7", 1) for text in texts)


async def test_of_nine_parts_none_leaves_after_the_wish(store: Store) -> None:
    conversation_id, claim, texts = await waiting(store, [f"part {n}" for n in range(9)])
    first = await store.write(claim_part, claim.ref, unstored(claim, 0), "twilio", texts)
    assert isinstance(first, PartClaim)
    await store.write(settle_part, unstored(claim, 0), "SM1")
    await out(store, ConsentSource.KEYWORD)
    refused = await store.write(claim_part, claim.ref, unstored(claim, 1), "twilio")
    assert refused == Refused(Failure.OPTED_OUT, "suppressed")
    assert await store.write(fail_delivery, claim.ref, claim.delivery, unstored(claim, 1), refused) is None
    parts = await rows(store, "test_parts", id=conversation_id)
    assert [p["state"] for p in parts] == ["accepted", "failed", *["canceled"] * 7]
    (delivery,) = await rows(store, "test_deliveries", id=conversation_id)
    assert (delivery["state"], delivery["error_code"]) == (DeliveryState.FAILED, "suppressed")
    (failed,) = await posted(store, "message.failed")
    assert failed["data"]["error_code"] == "suppressed"
    messages = await rows(store, "test_messages", id=conversation_id)
    assert [m["delivery_status"] for m in messages if m["role"] == "assistant"] == ["failed"]
    # nobody has to look at what the person wanted
    assert await rows(store, "test_dead_letters") == []


async def test_a_wish_between_the_cut_and_the_first_part_is_in_time(store: Store) -> None:
    conversation_id, claim, texts = await waiting(store, ["one", "two"])
    await out(store, ConsentSource.OPERATOR, (ANY, THEIRS))
    refused = await store.write(claim_part, claim.ref, unstored(claim, 0), "twilio", texts)
    assert isinstance(refused, Refused)
    assert await rows(store, "test_parts", id=conversation_id) != []
    # lifted before the worker has recorded it: what was not settled may go
    await store.write(lift, ORGANIZATION, Channel.SMS, (ANY, THEIRS))
    assert isinstance(await store.write(claim_part, claim.ref, unstored(claim, 0), "twilio"), PartClaim)


@pytest.mark.parametrize("source", SOURCES)
async def test_start_lifts_what_a_keyword_did_and_only_that(store: Store, source: ConsentSource) -> None:
    assert await out(store, source)
    assert not await out(store, source)
    assert await store.read(liftable_by_start, ORGANIZATION, Channel.SMS, PAIR) == (not source.firm)
    assert await start(store) == (not source.firm)
    assert await is_suppressed(store) == source.firm
    assert source.firm == (source in (ConsentSource.AGENT, ConsentSource.OPERATOR))


async def test_an_operators_word_on_top_of_a_stop_makes_it_firm(store: Store) -> None:
    await out(store, ConsentSource.KEYWORD)
    await out(store, ConsentSource.OPERATOR)
    await out(store, ConsentSource.KEYWORD)
    assert not await start(store)
    found = await store.read(suppression_of, ORGANIZATION, Channel.SMS, PAIR)
    assert found is not None
    assert (found.reason, found.firm, found.derived) == ("operator", True, False)
    taken_back = evidence(ConsentSource.OPERATOR, actor="olga", detail="asked by phone")
    assert not await store.write(take_back, new_id(), found.id, taken_back)
    assert await store.write(take_back, ORGANIZATION, found.id, taken_back)
    assert not await store.write(take_back, ORGANIZATION, found.id, taken_back)
    assert not await is_suppressed(store)


async def test_the_ledger_keeps_every_wish_with_its_evidence(store: Store) -> None:
    message_id, conversation_id = new_id(), new_id()
    said = Evidence(source=ConsentSource.KEYWORD, message_id=message_id, conversation_id=conversation_id)
    for _ in range(2):
        await store.write(revoke, ORGANIZATION, Channel.SMS, PAIR, said)
    await start(store)
    await out(store, ConsentSource.CARRIER, (OURS, "+14155550199"))
    of_theirs = (Channel.SMS, THEIRS)
    page = await store.read(consents_page, ORGANIZATION, of_theirs, None, 10)
    assert [entry.state for entry in page.items] == [
        ConsentState.OPTED_IN,
        ConsentState.OPTED_OUT,
        ConsentState.OPTED_OUT,
    ]
    assert page.items[-1].evidence == said
    assert (page.items[-1].our_address, page.items[-1].their_address) == PAIR
    seen = []
    after: Position | None = None
    while True:
        one = await store.read(consents_page, ORGANIZATION, None, after, 1)
        seen += [entry.id for entry in one.items]
        after = one.end
        if not one.has_more:
            break
    assert len(set(seen)) == len(seen) == 4
    assert (await store.read(consents_page, new_id(), None, None, 10)).items == ()


async def test_what_is_in_force_is_listed(store: Store) -> None:
    await out(store, ConsentSource.KEYWORD)
    await out(store, ConsentSource.OPERATOR, (ANY, "+14155550199"))
    everything = await store.read(suppressions_page, ORGANIZATION, None, None, 10)
    assert {(s.our_address, s.their_address, s.reason) for s in everything.items} == {
        (OURS, THEIRS, "keyword"),
        (ANY, "+14155550199", "operator"),
    }
    of_one = await store.read(suppressions_page, ORGANIZATION, (Channel.SMS, THEIRS), None, 10)
    assert [s.their_address for s in of_one.items] == [THEIRS]
    await start(store)
    assert (await store.read(suppressions_page, ORGANIZATION, (Channel.SMS, THEIRS), None, 10)).items == ()


OWN = replace(ROUTE, consent=ConsentRules(provider_answers=False, stop="Stopped.", start="On.", help="Ask."))
"""A sender whose provider answers no keyword."""


async def comes(store: Store, text: str, route: Route = ROUTE, **more: Any) -> Accepted:
    return await store.write(accept, replace(sms(text), **more), route)


async def delivered(store: Store, conversation_id: str) -> list[str]:
    return [d["text"] for d in await rows(store, "test_deliveries", id=conversation_id)]


async def is_answered(store: Store, accepted: Accepted) -> bool:
    """Whether the agent gets a turn for what is pending."""
    row = await scene.conversation(store, accepted.conversation_id)
    assert accepted.turn_expected == (row["answered"] < row["last_input"])
    await scene.consistent(store, accepted.conversation_id)
    return accepted.turn_expected


async def test_a_stop_that_the_provider_answers_gets_no_answer_of_ours(store: Store) -> None:
    accepted = await comes(store, "stop")
    assert await is_suppressed(store)
    assert await delivered(store, accepted.conversation_id) == []


async def test_a_sentence_that_takes_consent_back_is_a_stop(store: Store) -> None:
    accepted = await comes(store, "Please stop texting me!")
    assert not await is_answered(store, accepted)
    assert await is_suppressed(store)
    assert await delivered(store, accepted.conversation_id) == [ROUTE.consent.stop]


@pytest.mark.parametrize("route", [ROUTE, OWN], ids=["provider", "own"])
async def test_a_stop_is_recorded_and_never_answered_by_the_agent(store: Store, route: Route) -> None:
    accepted = await comes(store, "Arrêt.", route)
    assert not await is_answered(store, accepted)
    assert await is_suppressed(store)
    again = await comes(store, "STOP", route)
    assert again.conversation_id == accepted.conversation_id
    # one confirmation, since no provider knows this spelling, and not another
    assert await delivered(store, accepted.conversation_id) == [route.consent.stop]
    page = await store.read(consents_page, ORGANIZATION, None, None, 10)
    assert [(e.evidence.source, e.evidence.message_id) for e in page.items] == [
        (ConsentSource.KEYWORD, again.message_id),
        (ConsentSource.KEYWORD, accepted.message_id),
    ]
    (stored, *_) = await rows(store, "test_messages", id=accepted.conversation_id)
    assert (stored["content"], stored["role"]) == ("Arrêt.", "user")
    assert json.loads(stored["metadata"]) == {"unanswered": "keyword", "keyword": "stop"}
    assert await posted(store, "message.inbound") == []


async def test_the_confirmation_leaves_although_nothing_else_does(store: Store) -> None:
    _, claim, texts = await waiting(store, ["waits"])
    accepted = await comes(store, "stop", OWN)
    refused = await store.write(claim_part, claim.ref, unstored(claim, 0), "twilio", texts)
    assert isinstance(refused, Refused)
    following = await store.write(fail_delivery, claim.ref, claim.delivery, unstored(claim, 0), refused)
    assert following is not None
    assert following.text == "Stopped."
    confirmation = Part(delivery_id=following.id, index=0, text="", hash="")
    left = await store.write(claim_part, claim.ref, confirmation, "twilio", (PartText("Stopped.", None, 1),))
    assert isinstance(left, PartClaim)
    assert not await is_answered(store, accepted)


async def test_what_the_provider_has_dealt_with_is_only_recorded(store: Store) -> None:
    accepted = await comes(store, "no mas por favor", OWN, keyword=Keyword.STOP)
    assert not await is_answered(store, accepted)
    assert await is_suppressed(store)
    assert await delivered(store, accepted.conversation_id) == []
    assert not await is_answered(store, await comes(store, "start over", OWN, keyword=Keyword.START))
    assert not await is_suppressed(store)
    assert not await is_answered(store, await comes(store, "info", OWN, keyword=Keyword.HELP))
    assert await delivered(store, accepted.conversation_id) == []
    page = await store.read(consents_page, ORGANIZATION, None, None, 10)
    assert {entry.evidence.source for entry in page.items} == {ConsentSource.PROVIDER}


async def test_yes_is_an_answer_unless_it_takes_back_a_stop(store: Store) -> None:
    assert await is_answered(store, await comes(store, "YES", OWN))
    await comes(store, "STOP", OWN)
    accepted = await comes(store, "yes", OWN)
    row = await scene.conversation(store, accepted.conversation_id)
    assert row["last_input"] == 1  # the first one, which the agent has not answered yet
    assert not await is_suppressed(store)
    assert await delivered(store, accepted.conversation_id) == ["Stopped.", "On."]
    await out(store, ConsentSource.OPERATOR)
    assert (await comes(store, "start", OWN)).turn_expected  # nothing it could take back
    assert await is_suppressed(store)


@pytest.mark.parametrize(
    ("text", "route", "said", "is_asked"),
    [
        ("HELP", OWN, ["Ask."], False),
        ("Hilfe", OWN, ["Ask."], False),
        ("help", ROUTE, [], False),
        ("Hilfe", ROUTE, [], True),  # the provider does not know the word: the agent does
    ],
)
async def test_help(store: Store, text: str, route: Route, said: list[str], is_asked: bool) -> None:
    accepted = await comes(store, text, route)
    assert await is_answered(store, accepted) == is_asked
    assert await delivered(store, accepted.conversation_id) == said
    assert (await store.read(consents_page, ORGANIZATION, None, None, 10)).items == ()


async def test_a_stop_is_for_the_number_that_was_written_to(store: Store) -> None:
    await comes(store, "STOP")
    assert not await store.read(suppressed, ORGANIZATION, Channel.SMS, "+15550101", THEIRS)
    assert not await store.read(suppressed, ORGANIZATION, Channel.VOICE, OURS, THEIRS)


async def test_the_same_stop_twice_is_one(store: Store) -> None:
    for _ in range(2):
        await comes(store, "STOP", OWN, provider_message_id="SM-stop")
    assert len((await store.read(consents_page, ORGANIZATION, None, None, 10)).items) == 1


async def test_what_no_reply_reaches_is_stored_and_not_answered(store: Store) -> None:
    accepted = await comes(store, "Your code is 123", sender="alpha:Bank", answerable=False)
    assert not await is_answered(store, accepted)
    (stored,) = await rows(store, "test_messages", id=accepted.conversation_id)
    assert json.loads(stored["metadata"]) == {"unanswered": "unreachable"}


async def test_mail_has_no_keywords(store: Store) -> None:
    accepted = await store.write(accept, scene.mail("STOP"), ROUTE)
    assert await is_answered(store, accepted)


async def test_an_agent_understands_that_somebody_wants_no_more(store: Store) -> None:
    accepted = await arrive(store, sms("please never write to me again"))
    claim = await claimed(store, accepted.conversation_id)
    quiet = replace(scene.reply(), messages=(), consent_revoked=True)
    await store.write(finish_turn, claim, quiet, PARTITIONS, TurnRules(consent=OWN.consent))
    assert await is_suppressed(store)
    assert await delivered(store, accepted.conversation_id) == ["Stopped."]
    (entry,) = (await store.read(consents_page, ORGANIZATION, None, None, 10)).items
    assert (entry.evidence.source, entry.evidence.message_id) == (ConsentSource.AGENT, accepted.message_id)
    await scene.consistent(store, accepted.conversation_id)
    assert not await start(store)


async def test_on_the_api_there_is_nothing_to_revoke(store: Store) -> None:
    conversation_id = await scene.api_conversation(store)
    await scene.say(store, conversation_id)
    reply = replace(scene.reply("You will hear no more."), consent_revoked=True)
    await store.write(finish_turn, await claimed(store, conversation_id), reply, PARTITIONS)
    assert (await store.read(consents_page, ORGANIZATION, None, None, 10)).items == ()
