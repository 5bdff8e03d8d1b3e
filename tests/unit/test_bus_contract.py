"""The queue contract: topology, payload models and the AsyncAPI document say the same."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.bus.asyncapi import asyncapi_document
from gateway.bus.topology import EXCHANGES, Binding, Topology
from gateway.domain.conversation import Status
from gateway.domain.intent import IntentKind
from gateway.domain.intent_payloads import PAYLOADS
from gateway.domain.ports.bus import RetryStep
from gateway.domain.turn import Path, TurnOutcome, TurnState
from gateway.domain.voice import voice_intents
from gateway.domain.wire import MessageInbound, MessageOutbound, VoiceEvent

ID = "0190b0a0-0000-7000-8000-000000000001"


def test_every_name_has_the_prefix_and_every_binding_its_exchange() -> None:
    topology = Topology("other.", 3)
    exchanges = {topology.name(exchange) for exchange in EXCHANGES}
    queues = topology.queues(["webhooks"])
    assert all(queue.name.startswith("other.") for queue in queues)
    assert {binding.exchange for queue in queues for binding in queue.bindings} == exchanges - {
        topology.name("voice")  # its queues are the hosts'
    }
    assert len({queue.name for queue in queues}) == len(queues) == 3 + 3 + 1 + 1 + 5 + 1


def test_queues_keep_what_they_hold() -> None:
    for queue in Topology().queues(["webhooks"]):
        assert queue.arguments["x-queue-type"] == "quorum"
        if queue.name == "gateway.dead":
            assert "x-dead-letter-exchange" not in queue.arguments
        else:
            assert queue.arguments["x-dead-letter-strategy"] == "at-least-once"
            assert queue.arguments["x-overflow"] == "reject-publish"
        if not queue.name.startswith("gateway.retry."):
            assert Binding("gateway.back", f"*.{queue.name}") in queue.bindings


@pytest.mark.parametrize(
    ("step", "seconds"), [("5s", 5), ("30s", 30), ("2m", 120), ("10m", 600), ("1h", 3600)]
)
def test_retry_queues_wait_as_long_as_they_are_called(step: str, seconds: int) -> None:
    topology = Topology()
    (queue,) = (queue for queue in topology.queues() if queue.name == f"gateway.retry.{step}")
    assert queue.arguments["x-message-ttl"] == seconds * 1000
    assert queue.arguments["x-dead-letter-exchange"] == "gateway.back"
    assert queue.bindings == (Binding("gateway.retry", f"{step}.#"),)
    assert topology.retry_key(RetryStep(step), "gateway.turns.1") == f"{step}.gateway.turns.1"


def test_a_queue_that_nobody_consumes_yet_is_not_declared() -> None:
    topology = Topology()
    assert "gateway.webhooks" not in {queue.name for queue in topology.queues()}
    (webhooks,) = (q for q in topology.queues(["webhooks"]) if q.name == "gateway.webhooks")
    assert Binding("gateway.events", "#") in webhooks.bindings


def references(node: Any) -> Iterator[str]:
    """Every `$ref` of a document."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_the_document_is_json_and_every_reference_leads_somewhere() -> None:
    document = json.loads(json.dumps(asyncapi_document("gateway.", 16)))
    found = set(references(document))
    assert len(found) > 30
    for reference in found:
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_the_document_has_no_discriminators_of_openapi() -> None:
    """AsyncAPI 3.0.0, Schema Object: a discriminator is a property's name."""
    schemas = asyncapi_document("gateway.", 16)["components"]["schemas"]
    assert len(schemas["VoiceEvent"]["oneOf"]) > 5
    assert not [name for name, schema in schemas.items() if "discriminator" in json.dumps(schema)]


def test_the_document_describes_every_queue_and_exchange() -> None:
    topology = Topology("p.", 4)
    document = asyncapi_document("p.", 4)
    bindings = [channel["bindings"]["amqp"] for channel in document["channels"].values()]
    exchanges = {b["exchange"]["name"]: b["exchange"]["type"] for b in bindings if "exchange" in b}
    assert exchanges == {
        topology.name(name): kind.value
        for name, kind in EXCHANGES.items()
        if name not in {"retry", "back", "dead"}
    }
    described = {
        (queue.name, json.dumps(queue.arguments, sort_keys=True))
        for queue in topology.queues()
        for channel in document["channels"].values()
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", r"[^.]+", re.escape(channel["address"])), queue.name)
        and set(channel["x-arguments"]) == set(queue.arguments)
    }
    assert {name for name, _ in described} == {queue.name for queue in topology.queues()}
    assert document["channels"]["turns"]["parameters"]["partition"]["enum"] == ["0", "1", "2", "3"]


def test_payloads_are_read_by_their_wire_names_and_unknown_keys_ignored() -> None:
    inbound = {
        "message_id": ID,
        "seq": None,
        "channel": "sms",
        "provider": "twilio",
        "provider_message_id": "SM1",
        "end_user_id": ID,
        "from": "+15550101",
        "to": "+15550100",
        "text": "hi",
        "attachments": [
            {"id": "a", "media_type": "image/png", "size": None, "name": None, "url": "https://x"}
        ],
        "subject": None,
        "sender_auth": "verified",
        "received_at": "2026-01-01T00:00:00Z",
        "session_type": "live",
        "of_the_future": 1,
    }
    assert MessageInbound.model_validate(inbound).sender == "+15550101"
    with pytest.raises(ValidationError):
        MessageInbound.model_validate({**inbound, "channel": "pigeon"})
    outbound: dict[str, Any] = {
        "lane": "l",
        "delivery_id": ID,
        "message_id": ID,
        "turn_id": None,
        "channel": "email",
        "to": "a@example.org",
        "from": "b@example.org",
        "text": "hi",
        "attachments": [],
        "thread": {"subject": "s", "in_reply_to": "<1@x>", "references": ["<1@x>"]},
        "intents": [],
    }
    assert MessageOutbound.model_validate(outbound).recipient == "a@example.org"


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "call.ended", "reason": "completed"},
        {"kind": "user.speech", "text": "hello", "final": True},
        {"kind": "user.dtmf", "digits": "1", "ended_by": None},
        {"kind": "user.interrupted", "spoken_ms": 300},
        {
            "kind": "intent.outcome",
            "intent_id": "i",
            "seq": 1,
            "state": "transferred",
            "at": "2026-01-01T00:00:00Z",
        },
        {"kind": "call.accepted", "conversation_id": ID, "end_user_id": ID},
    ],
)
def test_voice_events_are_told_apart_by_their_kind(data: dict[str, Any]) -> None:
    assert VoiceEvent.model_validate({"call_id": "c", **data}).root.kind == data["kind"]


def test_a_voice_event_of_unknown_kind_is_not_valid() -> None:
    with pytest.raises(ValidationError):
        VoiceEvent.model_validate({"kind": "call.dreamt", "call_id": "c"})


def test_what_each_kind_of_intent_brings_with_it_is_in_the_document() -> None:
    schemas = asyncapi_document("gateway.", 1)["components"]["schemas"]
    named = {
        rule["if"]["properties"]["kind"]["const"]: rule["then"]["properties"]["payload"]["$ref"]
        for rule in schemas["VoiceIntent"]["allOf"]
    }
    assert set(named) == set(schemas["IntentKind"]["enum"])
    for kind, field in (
        ("say", "whole"),
        ("transfer", "after"),
        ("cancel", "intent_id"),
        ("hang_up", "after"),
    ):
        assert field in schemas[named[kind].rpartition("/")[2]]["properties"]
    assert {"briefing_text", "warm_destinations"} < schemas["TransferPayload"]["properties"].keys()


@pytest.mark.parametrize("kind", list(IntentKind))
def test_what_hosts_are_told_is_as_the_document_says(kind: IntentKind) -> None:
    given = {"say": None, "cancel": {"intent_id": "i"}, "transfer": {"destination": "+15550111"}}
    wanted = {"intent_id": ID, "kind": kind.value, "payload": given.get(kind.value)}
    outcome = TurnOutcome(
        turn_id=ID,
        conversation_id=ID,
        state=TurnState.DONE,
        path=Path.SINGLE,
        decision_source=None,
        text="Well.",
        agent_id=None,
        message_seqs=(),
        session_status=Status.ACTIVE,
        ttft_ms=None,
        started_at=0,
        intents=() if kind is IntentKind.SAY else (wanted,),
    )
    told = [intent for intent in voice_intents(outcome, "call-1", 0) if intent.kind is kind]
    assert len(told) == 1
    known = PAYLOADS[kind].model_validate(told[0].payload)
    assert told[0].payload.keys() <= known.model_dump().keys()
