"""The queue contract as an AsyncAPI 3.0 document, generated from the topology and the payload models.

FastStream's own generator describes one queue per subscriber with one binding and one payload, and leaves out
queue arguments; ours share queues between messages and come back from retry queues, so it would say less than
is true.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway import __version__
from gateway.bus.topology import DEAD, EXCHANGES, RETRY, VOICE_EVENTS, QueueDeclaration, Topology
from gateway.domain.envelope import Envelope, Exchange
from gateway.domain.intent_payloads import PAYLOADS
from gateway.domain.message import Channel
from gateway.domain.ports.bus import RetryStep
from gateway.domain.voice import VoiceIntent
from gateway.domain.wire import (
    CallDue,
    DeliveryDue,
    Fact,
    FactType,
    MessageInbound,
    MessageOutbound,
    OutgoingCallDue,
    TurnDue,
    VoiceEvent,
)

Json = dict[str, Any]

_PAYLOADS: Mapping[str, type[BaseModel]] = {
    "message.inbound": MessageInbound,
    "turn.due": TurnDue,
    "message.outbound": MessageOutbound,
    "delivery.due": DeliveryDue,
    "call.due": OutgoingCallDue,
    "voice.event": VoiceEvent,
    "voice.due": CallDue,
    "voice.intent": VoiceIntent,
    **{kind.value: Fact for kind in FactType},
}
"""The model of `data` for each envelope `type`."""

_TURNS = ("message.inbound", "turn.due")
_DELIVERIES = ("message.outbound", "delivery.due", "call.due")
_CALLS = ("voice.event", "voice.due")
_FACTS = tuple(kind.value for kind in FactType)
_SCHEMAS = "#/components/schemas/"
_BINDING_VERSION = "0.3.0"
_NOT_OURS = {RETRY, "voiceEvents"}
"""RabbitMQ itself takes messages from the retry queues; voice hosts publish their events."""


def asyncapi_document(prefix: str, partitions: int) -> Json:
    """The document for one prefix and number of turn queues, ready to be written as JSON."""
    topology = Topology(prefix, partitions)
    channels = {**_queues(topology), **_exchanges(topology)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Channel Gateway queues",
            "version": __version__,
            "description": "RabbitMQ ≥ 3.10, AMQP 0-9-1, no plugins. Bodies are JSON in UTF-8, persistent; "
            "`message_id` is the envelope's id. Consumers ignore unknown keys.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"rabbitmq": {"host": "localhost:5672", "protocol": "amqp", "protocolVersion": "0-9-1"}},
        "channels": channels,
        "operations": _operations(channels),
        "components": {
            "messages": {kind: _message(kind) for kind in _PAYLOADS},
            "schemas": _schemas(),
        },
    }


def _queues(topology: Topology) -> Json:
    """What is consumed; a family of queues that differ in one word is one channel with a parameter."""
    declared = {queue.name: queue for queue in topology.queues()}
    delivered = (Channel.SMS.value, Channel.EMAIL.value, Channel.VOICE.value)
    numbers = [str(n) for n in range(topology.partitions)]
    steps = [step.value for step in RetryStep]

    def queue(short: str) -> QueueDeclaration:
        return declared[topology.name(short)]

    return {
        "turns": _queue(
            topology.name("turns.{partition}"), queue("turns.0"), _TURNS, {"partition": _partition(numbers)}
        ),
        "deliveries": _queue(
            topology.name("deliveries.{channel}"),
            queue(f"deliveries.{delivered[0]}"),
            _DELIVERIES,
            {"channel": {"enum": list(delivered)}},
        ),
        "hostEvents": _queue(topology.name(VOICE_EVENTS), queue(VOICE_EVENTS), _CALLS, {}),
        "retry": _queue(
            topology.name(f"{RETRY}.{{step}}"),
            queue(f"{RETRY}.{steps[0]}"),
            tuple(_PAYLOADS),
            {"step": {"enum": steps, "description": "how long a message waits here before it goes back"}},
        ),
        "dead": _queue(topology.name(DEAD), queue(DEAD), tuple(_PAYLOADS), {}),
    }


def _exchanges(topology: Topology) -> Json:
    """What is published; the address is the routing key."""
    numbers = [str(n) for n in range(topology.partitions)]
    host = {"host": {"description": "the id a voice host has registered with, by declaring its queue"}}
    return {
        "inbound": _exchange(
            topology, Exchange.INBOUND, "{partition}", _TURNS, {"partition": _partition(numbers)}
        ),
        "outbound": _exchange(
            topology,
            Exchange.OUTBOUND,
            "{channel}",
            _DELIVERIES,
            {"channel": {"enum": [c.value for c in Channel if c is Channel.VOICE or c.delivers]}},
        ),
        "events": _exchange(topology, Exchange.EVENTS, "{type}", _FACTS, {"type": {"enum": list(_FACTS)}}),
        "host": _exchange(topology, Exchange.VOICE, "{host}", ("voice.intent", "voice.event"), host),
        "hostSay": _exchange(topology, Exchange.VOICE, "{host}.say", ("voice.intent",), host),
        "voiceEvents": _exchange(topology, Exchange.VOICE_EVENTS, "event", ("voice.event",), {}),
    }


def _partition(numbers: Sequence[str]) -> Json:
    return {
        "enum": list(numbers),
        "description": "unsigned crc32 of the conversation id's 36 lower-case characters, modulo the number "
        "of partitions",
    }


def _queue(
    address: str, declared: QueueDeclaration, messages: Sequence[str], parameters: Mapping[str, Json]
) -> Json:
    return {
        "address": address,
        "messages": _references(messages),
        **({"parameters": dict(parameters)} if parameters else {}),
        "bindings": {
            "amqp": {
                "is": "queue",
                "queue": {
                    "name": address,
                    "durable": True,
                    "exclusive": False,
                    "autoDelete": False,
                },
                "bindingVersion": _BINDING_VERSION,
            }
        },
        "x-arguments": dict(declared.arguments),
        "x-bound-to": [binding.exchange for binding in declared.bindings],
    }


def _exchange(
    topology: Topology,
    exchange: Exchange,
    address: str,
    messages: Sequence[str],
    parameters: Mapping[str, Json],
) -> Json:
    return {
        "address": address,
        "messages": _references(messages),
        **({"parameters": dict(parameters)} if parameters else {}),
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {
                    "name": topology.name(exchange.value),
                    "type": EXCHANGES[exchange.value].value,
                    "durable": True,
                    "autoDelete": False,
                },
                "bindingVersion": _BINDING_VERSION,
            }
        },
    }


def _references(messages: Sequence[str]) -> Json:
    return {kind: {"$ref": f"#/components/messages/{kind}"} for kind in messages}


def _operations(channels: Json) -> Json:
    """As the gateway sees it: it receives from queues and sends to exchanges."""
    operations: Json = {}
    for name, channel in channels.items():
        receives = channel["bindings"]["amqp"]["is"] == "queue"
        verb = "receive" if receives else "send"
        if name in _NOT_OURS:
            continue
        operations[f"{verb}{name[0].upper()}{name[1:]}"] = {
            "action": verb,
            "channel": {"$ref": f"#/channels/{name}"},
            "messages": [{"$ref": f"#/channels/{name}/messages/{kind}"} for kind in channel["messages"]],
        }
    return operations


def _message(kind: str) -> Json:
    return {
        "name": kind,
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "properties": {
                "traceparent": {"type": "string", "description": "W3C Trace Context"},
                "x-gateway-attempt": {"type": "integer", "description": "how often it has been tried"},
            },
        },
        "payload": {
            "allOf": [
                {"$ref": f"{_SCHEMAS}{Envelope.__name__}"},
                {
                    "type": "object",
                    "properties": {
                        "type": {"const": kind},
                        "data": {"$ref": f"{_SCHEMAS}{_PAYLOADS[kind].__name__}"},
                    },
                },
            ]
        },
    }


def _schemas() -> Json:
    models: set[type[BaseModel]] = {Envelope, *_PAYLOADS.values(), *PAYLOADS.values()}
    _, document = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda model: model.__name__)],
        ref_template=f"{_SCHEMAS}{{model}}",
    )
    schemas: Json = document["$defs"]
    for schema in schemas.values():
        # OpenAPI's form of it, which AsyncAPI does not know; the alternatives name their `kind` themselves
        schema.pop("discriminator", None)
    schemas[VoiceIntent.__name__]["allOf"] = [
        {
            "if": {"properties": {"kind": {"const": kind.value}}},
            "then": {"properties": {"payload": {"$ref": f"{_SCHEMAS}{model.__name__}"}}},
        }
        for kind, model in PAYLOADS.items()
    ]
    return schemas
