"""Texts whose webhook never arrived: Twilio calls a number's webhook once or twice, and keeps the message.

Every few minutes the newest inbound messages of each of our numbers are listed; what is not known by its id
is accepted as if its webhook had come. Which process does it, and how often, is of no matter.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence

from channels.twilio.addresses import canonical_sender, is_one_way, is_withheld
from channels.twilio.client import ListedMessage, TwilioRest
from channels.twilio.requests import PROVIDER
from gateway.domain.clock import SECOND, Clock
from gateway.domain.delivery import OutcomeUnknown
from gateway.domain.errors import GatewayError, Unavailable
from gateway.domain.ids import new_id
from gateway.domain.message import Channel, InboundAttachment, InboundMessage, SenderAuth
from gateway.domain.ports.ingress import Accept

LOOK_BACK = 24 * 3600 * SECOND
"""How old a message may be to be answered still, µs."""
UNDER_WAY = 120 * SECOND
"""How long its webhook may take, with Twilio's own repetition, µs."""
MAX_NUMBERS = 1000
"""Of ours, in one look."""

Known = Callable[[Sequence[str]], Awaitable[set[str]]]
"""Which of these provider message ids we have."""

Numbers = Callable[[], Sequence[str]]

_log = logging.getLogger(__name__)


class TwilioSweep:
    """Looks for what was missed; a timer calls it."""

    def __init__(
        self,
        rest: TwilioRest,
        clock: Clock,
        accept: Accept,
        known: Known,
        numbers: Numbers,
    ) -> None:
        """`numbers`: ours, that Twilio serves."""
        self._rest = rest
        self._clock = clock
        self._accept = accept
        self._known = known
        self._numbers = numbers

    async def look(self) -> int:
        """Accept what is missing; how many. What Twilio does not answer now is found the next time."""
        found = 0
        for number in self._numbers()[:MAX_NUMBERS]:
            listed = await self._rest.list_inbound(number)
            if isinstance(listed, OutcomeUnknown):
                said = {"action": "sweep.failed", "reason": listed.reason}
                _log.warning("inbound messages were not listed", extra=said)
                return found
            found += await self._accept_missing(listed)
        return found

    async def _accept_missing(self, listed: Sequence[ListedMessage]) -> int:
        now = self._clock.now()
        old = [m for m in listed if now - LOOK_BACK <= m.created_at <= now - UNDER_WAY]
        known = await self._known([m.sid for m in old]) if old else set()
        found = 0
        for message in sorted(old, key=lambda m: m.created_at):
            if message.sid in known or not message.sender:
                continue
            try:
                await self._accept(_inbound(message))
            except Unavailable:
                raise
            except GatewayError as error:
                _log.warning(
                    "a missed message was not accepted",
                    extra={"action": "sweep.refused", "sid": message.sid, "error": error.code.value},
                )
                continue
            found += 1
            _log.warning("a webhook had not arrived", extra={"action": "sweep.found", "sid": message.sid})
        return found


def _inbound(message: ListedMessage) -> InboundMessage:
    """A listed message as its webhook would have brought it, but for what only that knows."""
    withheld = is_withheld(message.sender)
    sender = f"anonymous:{message.sid}" if withheld else canonical_sender(message.sender)
    return InboundMessage(
        channel=Channel.SMS,
        provider=PROVIDER,
        provider_message_id=message.sid,
        sender=sender,
        recipient=message.to,
        text=message.body.replace("\x00", ""),
        received_at=message.created_at,
        attachments=tuple(
            InboundAttachment(id=new_id(), media_type=kind, source=url) for url, kind in message.media
        ),
        sender_auth=SenderAuth.UNVERIFIED if withheld else SenderAuth.VERIFIED,
        answerable=not (withheld or is_one_way(sender)),
        metadata={"provider": {"MessageSid": message.sid}, "swept": True},
    )
