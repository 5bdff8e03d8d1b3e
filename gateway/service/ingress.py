"""The ports that channel adapters are handed, over the store: accept a message, apply a receipt."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from gateway.domain.delivery import Receipt
from gateway.domain.errors import GatewayError, UnknownAddress
from gateway.domain.mail_report import MailReport
from gateway.domain.message import Accepted, Channel, InboundMessage
from gateway.domain.ports.store import Store, Tx
from gateway.service.accept import ATTACHMENTS_PATH, Route, accept
from gateway.service.mail_reports import take_report
from gateway.service.receive import Received, receive
from gateway.service.routes import route_of
from gateway.settings import GatewayConfig
from gateway.telemetry import ACCEPTED, DOUBLED, RECEIPTS, REPORTS, TURNS_DUE, UNANSWERED
from gateway.tracing import note, span

_log = logging.getLogger(__name__)

_ROUTES_KEPT = 1024
"""Addresses of ours of which the route is kept ready."""


class Acceptance:
    """The `Accept` port: routes a message to the agent of its address and stores it."""

    def __init__(
        self, store: Store, config: Callable[[], GatewayConfig], partitions: int, api_url: str = ""
    ) -> None:
        """`api_url`: what users of the API see, without a trailing slash."""
        self._attachments_url = api_url + ATTACHMENTS_PATH
        self._store = store
        self._config = config
        self._partitions = partitions
        self._take(config())

    async def __call__(self, message: InboundMessage) -> Accepted:
        """Raises UnknownAddress, or Unavailable (retryable; nothing was stored)."""
        channel = message.channel.value
        with span("accept", channel=channel, provider=message.provider, text_length=len(message.text)):
            accepted = await self._store_message(message)
            note(
                conversation_id=accepted.conversation_id,
                message_id=accepted.message_id,
                duplicate=accepted.duplicate,
            )
        return accepted

    def route(self, message: InboundMessage) -> Route:
        """Where configuration sends a message. Raises UnknownAddress."""
        config = self._config()
        if config is not self._routed:
            self._take(config)
        return self._routes(message.channel, message.recipient)

    def _take(self, config: GatewayConfig) -> None:
        self._routed = config
        self._routes = lru_cache(_ROUTES_KEPT)(partial(self._route, config))

    def _route(self, config: GatewayConfig, channel: Channel, recipient: str) -> Route:
        address = config.address(channel, recipient)
        agent = config.agent(address.agent) if address is not None else None
        if address is None or agent is None:
            ACCEPTED.labels(channel, "unknown_address").inc()
            raise UnknownAddress(channel)
        values = config.channel(channel, recipient)
        ours = recipient if channel is Channel.SMS else None
        return route_of(config, agent, values, self._partitions, self._attachments_url, ours)

    async def _store_message(self, message: InboundMessage) -> Accepted:
        route = self.route(message)
        try:
            accepted = await self._store.write(accept, message, route)
        except GatewayError as error:
            ACCEPTED.labels(message.channel, error.code.value).inc()
            raise
        ACCEPTED.labels(message.channel, _result_of(accepted)).inc()
        if accepted.turn_expected and not accepted.duplicate:
            TURNS_DUE.labels(message.channel).inc()
        if accepted.unanswered is not None:
            UNANSWERED.labels(message.channel, accepted.unanswered).inc()
        return accepted

    def serves(self, channel: Channel, address: str) -> bool:
        """Whether this canonical address is one of ours."""
        return self._config().address(channel, address) is not None


def _result_of(accepted: Accepted) -> str:
    if accepted.left_out:
        return "left_out"
    return "duplicate" if accepted.duplicate else "new"


async def known_messages(tx: Tx, organization_id: str, provider: str, ids: Sequence[str]) -> set[str]:
    """Which of a provider's messages have been accepted."""
    rows = await tx.all("receipts_known", organization_id=organization_id, provider=provider, ids=list(ids))
    return {row["provider_message_id"] for row in rows}


@dataclass(frozen=True, slots=True)
class _Line:
    action: str
    text: str


_TOLD = {
    Received.UNKNOWN_PART: _Line("receipt.unknown", "a receipt names no part of ours"),
    Received.DOUBLED: _Line("part.doubled", "a part that was sent again had been taken the first time"),
    Received.CONTRADICTED: _Line(
        "receipt.contradicts", "a part is reported as failed after it was delivered"
    ),
}
"""What an operator is told of."""


class Receipts:
    """The `ApplyReceipt` port."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self, receipt: Receipt) -> None:
        """Idempotent and order-safe."""
        received = await self._store.write(receive, receipt)
        RECEIPTS.labels(receipt.provider, receipt.state.value).inc()
        if received is Received.DOUBLED:
            DOUBLED.labels(receipt.provider).inc()
        told = _TOLD.get(received)
        if told is not None:
            _log.warning(
                told.text,
                extra={
                    "action": told.action,
                    "provider": receipt.provider,
                    "provider_message_id": receipt.provider_message_id,
                    "delivery_id": receipt.delivery_id,
                    "part": receipt.part_index,
                    "raw_status": receipt.raw_status,
                    "code": receipt.error_code,
                },
            )


class Reports:
    """The `TakeReport` port."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self, report: MailReport) -> None:
        """A report about a mail that is not known any more changes nothing."""
        received = await self._store.write(take_report, report)
        REPORTS.labels("unknown_mail" if received is None else report.kind.value).inc()
        if received is Received.CONTRADICTED:
            _log.warning(
                "a mail is reported as failed after it was delivered",
                extra={
                    "action": "receipt.contradicts",
                    "delivery_id": report.delivery_id,
                    "message_id": report.message_id,
                    "code": report.code,
                },
            )
