"""The webhooks role: facts from the queue become rows, and rows become requests.

At least once: an attempt is committed before it is made and recorded after it, and one whose maker died in
between is made again. A receiver knows a repetition by its `webhook-id`.
"""

import asyncio
import logging
from contextlib import suppress

from gateway.domain.clock import Clock
from gateway.domain.envelope import Envelope
from gateway.domain.errors import Unavailable
from gateway.domain.ids import parse_id
from gateway.domain.ports.bus import DONE, Verdict, dead
from gateway.domain.ports.store import Store
from gateway.domain.webhook import WebhookAttempt, WebhookOutcome, WebhookStatus
from gateway.domain.wire import FactType
from gateway.log import place_of
from gateway.service.webhook_deliveries import Bounds, claim_attempts, fan_out, record_outcome
from gateway.telemetry import WEBHOOKS
from workers.webhook_post import WebhookPoster

MAX_AT_ONCE = 64
"""Requests of one process under way."""
PER_ENDPOINT = 4
"""Requests to one endpoint under way, from all processes."""
LEASE_SECONDS = 30
"""More than a request and its record take."""
START_WITHIN = 10.0
"""Seconds after its claim in which a request may start: with its time-out, it ends within the lease."""
POLL_SECONDS = 1.0
"""How often is looked for what has become due, or was asked for in another process."""
_PAUSE_SECONDS = 1.0
"""After the database was away."""

_log = logging.getLogger(__name__)


class WebhookWorker:
    """Consumes the webhooks' queue, and sends what is due, whoever fanned it out."""

    def __init__(self, store: Store, poster: WebhookPoster, clock: Clock) -> None:
        self._store = store
        self._poster = poster
        self._clock = clock
        self._rung = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None
        self._stopping = False

    async def consume(self, event: Envelope) -> Verdict:
        """Fan one fact out to the endpoints that want it."""
        if event.type not in frozenset(FactType):
            return dead(f"not a fact that is told: type {event.type!r}")
        if not _names_rows(event):
            return dead("not a fact of ours: its ids are no UUIDs")
        if await self._store.write(fan_out, event):
            self._rung.set()
        return DONE

    async def start(self) -> None:
        """Begin to send."""
        self._loop = asyncio.create_task(self._run(), name="webhooks")

    async def stop(self, timeout: float) -> None:
        """Claim no more, and wait for what is under way at most `timeout` seconds; the rest is sent again."""
        self._stopping = True
        self._rung.set()
        give_up = self._clock.monotonic() + timeout
        if self._loop is not None:
            await asyncio.wait([self._loop], timeout=timeout)
            self._loop.cancel()
        if self._sending:
            await asyncio.wait(self._sending, timeout=max(0.0, give_up - self._clock.monotonic()))
        for task in tuple(self._sending):
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def _run(self) -> None:
        while not self._stopping:
            self._rung.clear()
            try:
                claimed = await self._claim()
            except Unavailable as error:
                _log.warning(
                    "webhooks cannot be looked for",
                    extra={"action": "webhooks.unavailable", "reason": error.message},
                )
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            except Exception as error:  # a fault of ours, after which nobody would begin anew
                _log.error(
                    "webhooks cannot be looked for",
                    extra={"action": "webhooks.broken", "error": type(error).__name__, "at": place_of(error)},
                )
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if not claimed and not self._stopping:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._rung.wait(), POLL_SECONDS)

    async def _claim(self) -> int:
        """Take what is due and there is room for; how many."""
        room = MAX_AT_ONCE - len(self._sending)
        if room <= 0:
            return 0
        began = self._clock.monotonic()
        bounds = Bounds(room=room, per_endpoint=PER_ENDPOINT, lease_seconds=LEASE_SECONDS)
        attempts = await self._store.write(claim_attempts, bounds)
        for attempt in attempts:
            task = asyncio.create_task(self._send(attempt, began))
            self._sending.add(task)
            task.add_done_callback(self._done)
        return len(attempts)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._rung.set()

    async def _send(self, attempt: WebhookAttempt, claimed_at: float) -> None:
        if self._clock.monotonic() - claimed_at > START_WITHIN:
            return  # too late to be sure that nobody else makes it too
        outcome = await self._poster.post(attempt)
        try:
            status = await self._store.write(record_outcome, attempt, outcome)
        except Unavailable as error:
            _log.warning(
                "what became of a webhook could not be stored; it is sent again",
                extra={"action": "webhook.unrecorded", "event_id": attempt.event_id, "reason": error.message},
            )
            return
        WEBHOOKS.labels("superseded" if status is None else status.value).inc()
        if status in (WebhookStatus.PENDING, WebhookStatus.DEAD):
            _not_taken(attempt, outcome, status)


def _names_rows(event: Envelope) -> bool:
    """Whether its ids are such as the tables keep."""
    ids = [event.id, event.organization_id or "", *filter(None, [event.conversation_id])]
    return all(parse_id(text) == text for text in ids)


def _not_taken(attempt: WebhookAttempt, outcome: WebhookOutcome, status: WebhookStatus) -> None:
    _log.warning(
        "a webhook was not taken",
        extra={
            "action": "webhook.not_taken",
            "endpoint_id": attempt.endpoint_id,
            "event_id": attempt.event_id,
            "attempt": attempt.attempt,
            "response_code": outcome.response_code,
            "error": outcome.error,
            "status": status.value,
        },
    )
