"""The reference voice host: what is to be done after words that are still to come."""

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
        not_after=rfc3339(now + 30 * SECOND),
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
    last = {"utterance_id": "u1", "n": 0, "text": "One moment.", "final": True}
    call.take(intent(call, IntentKind.SAY, last))()
    await gateway.until("intent.outcome", 3)
    states = {event["intent_id"]: event["state"] for event in gateway.of("intent.outcome")}
    assert states[wanted.intent_id] == "canceled"
    assert not call.over
