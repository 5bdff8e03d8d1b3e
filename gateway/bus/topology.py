"""Exchanges, queues and bindings of contract/queues.md, as data that both buses and AsyncAPI read."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from gateway.domain.envelope import Exchange
from gateway.domain.message import Channel
from gateway.domain.ports.bus import RetryStep

DELIVERY_LIMIT = 20
"""Deliveries of one message before RabbitMQ itself gives up on it: a net under workers that keep crashing."""

RETRY = "retry"
"""Exchange; the first word of its queues' names."""
BACK = "back"
"""Exchange."""
DEAD = "dead"
"""Exchange and queue."""

VOICE_EVENTS = "voice.events"
WEBHOOKS = "webhooks"

STEP_SECONDS: Mapping[RetryStep, float] = {step: step.seconds for step in RetryStep}

Argument = str | int


class ExchangeKind(StrEnum):
    """How an exchange routes."""

    DIRECT = "direct"
    TOPIC = "topic"
    FANOUT = "fanout"


EXCHANGES: Mapping[str, ExchangeKind] = {
    Exchange.INBOUND.value: ExchangeKind.DIRECT,
    Exchange.OUTBOUND.value: ExchangeKind.DIRECT,
    Exchange.EVENTS.value: ExchangeKind.TOPIC,
    Exchange.VOICE.value: ExchangeKind.DIRECT,
    Exchange.VOICE_EVENTS.value: ExchangeKind.DIRECT,
    RETRY: ExchangeKind.TOPIC,
    BACK: ExchangeKind.TOPIC,
    DEAD: ExchangeKind.FANOUT,
}
"""Every exchange, without the prefix. All are durable."""


class Binding(NamedTuple):
    """An exchange, and the key with which a queue is bound to it."""

    exchange: str
    routing_key: str


@dataclass(frozen=True, slots=True)
class QueueDeclaration:
    """A durable quorum queue under its full name."""

    name: str
    bindings: tuple[Binding, ...]
    arguments: Mapping[str, Argument]


@dataclass(frozen=True, slots=True)
class Topology:
    """What is declared under one prefix. `step_seconds` is shorter in tests only."""

    prefix: str = "gateway."
    partitions: int = 16
    step_seconds: Mapping[RetryStep, float] = field(default_factory=lambda: STEP_SECONDS)

    def name(self, short: str) -> str:
        """The full name of a queue or exchange."""
        return f"{self.prefix}{short}"

    def short(self, name: str) -> str:
        """A queue's name without the prefix; somebody else's queue keeps its name."""
        return name.removeprefix(self.prefix)

    def sources(self) -> Mapping[str, Binding]:
        """The queues the gateway consumes, without prefix, and where each gets its messages from."""
        turns = {f"turns.{n}": Binding(Exchange.INBOUND.value, str(n)) for n in range(self.partitions)}
        deliveries = {
            f"deliveries.{channel}": Binding(Exchange.OUTBOUND.value, channel)
            for channel in (Channel.SMS.value, Channel.EMAIL.value, Channel.VOICE.value)
        }
        return {
            **turns,
            **deliveries,
            VOICE_EVENTS: Binding(Exchange.VOICE_EVENTS.value, "event"),
            WEBHOOKS: Binding(Exchange.EVENTS.value, "#"),
        }

    def routes(self) -> Mapping[Binding, str]:
        """Which queue gets what is published to a direct exchange."""
        return {
            source: queue
            for queue, source in self.sources().items()
            if EXCHANGES[source.exchange] is ExchangeKind.DIRECT
        }

    def retry_key(self, step: RetryStep, queue: str) -> str:
        """The key that brings a message back to `queue` (full name) after a step's delay."""
        return f"{step.value}.{queue}"

    def queues(self, consumed: Collection[str] = ()) -> list[QueueDeclaration]:
        """Every queue to declare by a process that consumes `consumed` (names without prefix).

        The webhooks' queue would only grow where nobody consumes it, so it exists once somebody does.
        """
        working = [
            self._working(queue, source)
            for queue, source in self.sources().items()
            if queue != WEBHOOKS or queue in consumed
        ]
        return [*working, *(self._waiting(step) for step in RetryStep), self._dead()]

    def _working(self, queue: str, source: Binding) -> QueueDeclaration:
        name = self.name(queue)
        bindings = (Binding(self.name(source.exchange), source.routing_key), self._way_back(name))
        return QueueDeclaration(
            name, bindings, {**self._dead_lettering(DEAD), "x-delivery-limit": DELIVERY_LIMIT}
        )

    def _waiting(self, step: RetryStep) -> QueueDeclaration:
        milliseconds = int(self.step_seconds[step] * 1000)
        return QueueDeclaration(
            self.name(f"{RETRY}.{step.value}"),
            (Binding(self.name(RETRY), f"{step.value}.#"),),
            {**self._dead_lettering(BACK), "x-message-ttl": milliseconds},
        )

    def _dead(self) -> QueueDeclaration:
        # No limit and no dead-letter exchange: there is nowhere left to go, and a dead letter that came
        # back to its own queue would be dropped by RabbitMQ as a cycle.
        name = self.name(DEAD)
        return QueueDeclaration(
            name, (Binding(self.name(DEAD), ""), self._way_back(name)), {"x-queue-type": "quorum"}
        )

    def _way_back(self, name: str) -> Binding:
        return Binding(self.name(BACK), f"*.{name}")

    def _dead_lettering(self, exchange: str) -> dict[str, Argument]:
        """Dead letters are confirmed before the queue lets go of them (RabbitMQ ≥ 3.10), never dropped."""
        return {
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": self.name(exchange),
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
