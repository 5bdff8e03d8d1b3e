"""Walks each accepted message through its statuses and reports them to its callback URL.

A message changes its status one step per `delay` seconds, each step reported after the one before was
answered, unless the faults say otherwise. What waits here is a reference to a message of the ledger.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from channels.twilio.fake.faults import Dice
from channels.twilio.fake.ledger import Message
from channels.twilio.fake.webhooks import WebhookAnswer, Webhooks, WebhookUnreachable

CONCURRENT_CALLBACKS = 64


@dataclass(frozen=True, slots=True)
class Step:
    """A status a message takes, with Twilio's error code where it failed."""

    status: str
    error_code: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Step":
        """`delivered`, or `undelivered:30003`. Raises ValueError where the code is not a number."""
        status, _, code = text.partition(":")
        return cls(status, int(code) if code else None)


Report = Callable[[Message, Step], Awaitable[WebhookAnswer]]
"""Tells the gateway of a step; raises WebhookUnreachable."""


UNDELIVERED = Step("undelivered", 30036)


@dataclass(slots=True)
class _Journey:
    message: Message
    steps: list[Step]
    """What is still to be reported, in the order it will be."""
    final: Step
    silent: bool


class StatusCallbacks:
    """The status machine of all accepted messages."""

    def __init__(self, report: Report, dice: Dice, delay: float) -> None:
        self.enabled = True
        self.sent = 0
        """Callbacks answered with a 2xx."""
        self.failed = 0
        """Callbacks answered with something else, or not at all."""
        self._tell = report
        self._dice = dice
        self._delay = delay
        self._queue: asyncio.Queue[_Journey] = asyncio.Queue()
        self._senders: list[asyncio.Task[None]] = []
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def start(self) -> None:
        """Start sending."""
        self._senders = [asyncio.create_task(self._send_forever()) for _ in range(CONCURRENT_CALLBACKS)]

    async def stop(self) -> None:
        """Stop at once; what has not been sent is not sent."""
        for sender in self._senders:
            sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)
        self._senders = []

    @property
    def under_way(self) -> int:
        """Messages whose last status has not been reported yet."""
        return self._under_way

    async def settled(self) -> None:
        """Wait until every message has arrived at its last status and every callback has been answered."""
        await self._idle.wait()

    def begin(self, message: Message, steps: Sequence[Step]) -> None:
        """Send a message on its way; without callbacks it is at its last status at once."""
        if not (self.enabled and message.status_callback and steps):
            if steps:
                _take(message, steps[-1])
            return
        faults = self._dice.faults
        order = list(steps)
        if self._dice.hits(faults.reorder_callbacks):
            order = self._dice.shuffled(order)
        self._under_way += 1
        self._idle.clear()
        self._next(_Journey(message, order, steps[-1], silent=self._dice.hits(faults.no_callbacks)))

    def _next(self, journey: _Journey) -> None:
        if journey.steps:
            asyncio.get_running_loop().call_later(self._delay, self._queue.put_nowait, journey)
            return
        _take(journey.message, journey.final)  # whatever was reported last
        self._under_way -= 1
        if self._under_way == 0:
            self._idle.set()

    async def _send_forever(self) -> None:
        while True:
            journey = await self._queue.get()
            step = journey.steps.pop(0)
            _take(journey.message, step)
            if not journey.silent:
                await self._report(journey.message, step)
            self._next(journey)

    async def _report(self, message: Message, step: Step) -> None:
        copies = 2 if self._dice.hits(self._dice.faults.duplicate_callbacks) else 1
        await asyncio.gather(*[self._report_once(message, step) for _ in range(copies)])

    async def _report_once(self, message: Message, step: Step) -> None:
        try:
            answer = await self._tell(message, step)
        except WebhookUnreachable:
            self.failed += 1
            return
        if 200 <= answer.status < 300:
            self.sent += 1
        else:
            self.failed += 1


def twilio_report(account_sid: str, webhooks: Webhooks) -> Report:
    """Reports as Twilio does: a signed form."""

    async def report(message: Message, step: Step) -> WebhookAnswer:
        return await webhooks.post(message.status_callback, _form(account_sid, message, step))

    return report


def _form(account_sid: str, message: Message, step: Step) -> list[tuple[str, str]]:
    form = [
        ("ApiVersion", "2010-04-01"),
        ("AccountSid", account_sid),
        ("MessageSid", message.sid),
        ("SmsSid", message.sid),
        ("MessageStatus", step.status),
        ("SmsStatus", step.status),
        ("To", message.to),
        ("From", message.from_),
    ]
    if message.messaging_service_sid:
        form.append(("MessagingServiceSid", message.messaging_service_sid))
    if step.error_code is not None:
        form.append(("ErrorCode", str(step.error_code)))
    return form


def _take(message: Message, step: Step) -> None:
    message.status = step.status
    message.error_code = step.error_code
