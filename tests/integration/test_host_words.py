"""The reference voice host: what is to be done after words that are still to come."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from channels.voice.host.call import HostedCall
from channels.voice.host.host import open_layer
from channels.voice.host.ledger import Json, Ledger
from channels.voice.host.site import Site
from gateway.domain.clock import SECOND, Clock, rfc3339
from gateway.domain.ids import new_id
from gateway.domain.intent import IntentKind
from gateway.domain.voice import VoiceIntent
from tests.integration.host_place import HOST, OURS, TARGET, Gateway


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A host, whose link is a `Gateway`."""
    ledger = Ledger(tmp_path / "host.jsonl")
    gateway = Gateway(ledger)
    layer = await open_layer(gateway.host, HOST, 0)
    site = Site("host-1", layer, ledger, gateway, Clock(), (HOST, 9), gateway.host.add_leg)
    gateway.host.start(site)
    yield site
    gateway.host.close()
    ledger.close()


def intent(call: HostedCall, kind: IntentKind, payload: Json) -> VoiceIntent:
    """What the gateway wants of a call."""
    now = Clock().now()
    return VoiceIntent(
        intent_id=new_id(),
        call_id=call.call_id,
        conversation_id=new_id(),
        turn_id=None,
        issued_at=rfc3339(now),
        not_after=rfc3339(now + 600 * SECOND),
        kind=kind,
        payload=payload,
    )


@pytest.mark.parametrize(
    ("kind", "payload"),
    [(IntentKind.TRANSFER, {"destination": TARGET}), (IntentKind.HANG_UP, {"reason": "agent"})],
)
async def test_what_waits_for_words_and_is_canceled_is_never_done(
    site: Site, kind: IntentKind, payload: dict[str, Any]
) -> None:
    gateway = site.link
    assert isinstance(gateway, Gateway)
    call = HostedCall(new_id(), site, OURS)
    wanted = intent(call, kind, {**payload, "after": "u1"})
    call.take(wanted)()
    call.take(intent(call, IntentKind.CANCEL, {"intent_id": wanted.intent_id}))()
    assert [event["state"] for event in gateway.of("intent.outcome")] == ["canceled", "done"]
    assert gateway.of("intent.outcome")[0]["intent_id"] == wanted.intent_id
    last = {"utterance_id": "u1", "n": 0, "text": "One moment.", "final": True}
    call.take(intent(call, IntentKind.SAY, last))()
    await gateway.until("intent.outcome", 3)
    for _ in range(5):
        await asyncio.sleep(0)
    assert [event["state"] for event in gateway.of("intent.outcome")] == ["canceled", "done", "spoken"]
    assert not call.over


@pytest.mark.parametrize(
    ("kind", "payload", "reason"),
    [
        (IntentKind.TRANSFER, {}, "not a valid payload of transfer: destination: missing"),
        (IntentKind.TRANSFER, {"destination": TARGET, "max_retries": "x"}, "max_retries: int_parsing"),
        (IntentKind.COLLECT_DTMF, {"max_digits": []}, "max_digits: int_type"),
        (IntentKind.CANCEL, {}, "intent_id: missing"),
        (IntentKind.HANG_UP, {"after": 3}, "after: string_type"),
        (IntentKind.SAY, {"final": True, "n": 0, "text": "x"}, "utterance_id: missing"),
    ],
)
async def test_what_has_no_valid_payload_is_refused_before_it_is_taken(
    site: Site, kind: IntentKind, payload: dict[str, Any], reason: str
) -> None:
    gateway = site.link
    assert isinstance(gateway, Gateway)
    call = HostedCall(new_id(), site, OURS)
    wrong = intent(call, kind, payload)
    with pytest.raises(ValueError, match=reason):
        call.take(wrong)
    (outcome,) = gateway.of("intent.outcome")
    assert outcome["intent_id"] == wrong.intent_id
    assert (outcome["state"], outcome["reason"]) == ("failed", "unsupported")
    call.take(wrong)()
    assert gateway.of("intent.outcome") == [outcome] * 2
    late = intent(call, kind, payload).model_copy(update={"not_after": "soon"})
    with pytest.raises(ValueError, match="not_after"):
        call.take(late)


async def test_a_piece_without_its_utterance_is_refused_and_ends_nothing(site: Site) -> None:
    gateway = site.link
    assert isinstance(gateway, Gateway)
    call = HostedCall(new_id(), site, OURS)
    with pytest.raises(ValueError, match="utterance_id: missing"):
        call.take(intent(call, IntentKind.SAY, {"final": False, "n": 0, "text": "x"}))
    assert gateway.of("intent.outcome") == []
