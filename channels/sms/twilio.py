"""The way out for text messages: Twilio's Messages resource.

Twilio has no idempotency key for messages, so one whose outcome was not learnt is looked for among those that
Twilio lists for the two numbers. Smart encoding and link shortening stay off: both would change the body that
we compare.
"""

import unicodedata
from collections.abc import Sequence

from channels.sms.parts import Bound, RulesOf, receipt_reference, sms_parts
from channels.twilio.addresses import provider_address
from channels.twilio.client import NewMessage, SentMessage, TwilioRest
from channels.twilio.requests import PROVIDER, SMS_RETRIES, SMS_STATUS_PATH
from gateway.domain.clock import SECOND, Clock
from gateway.domain.delivery import Delivery, OutcomeUnknown, Part, PartText, SendOutcome, Taken

_SLACK = 5 * SECOND
"""Twilio dates messages in whole seconds of its own clock."""


class TwilioSms:
    """Sends parts as messages of one account."""

    provider = PROVIDER

    def __init__(
        self, rest: TwilioRest, *, public_url: str, clock: Clock, rules_of: RulesOf, bound: Bound
    ) -> None:
        """`public_url`: what Twilio sees of us, without a trailing slash."""
        self._rest = rest
        self._status_url = public_url + SMS_STATUS_PATH
        self._clock = clock
        self._rules_of = rules_of
        self._bound = bound

    def split(self, delivery: Delivery) -> Sequence[PartText]:
        """The parts of a reply."""
        return sms_parts(delivery, self._rules_of)

    async def send(self, delivery: Delivery, part: Part, timeout: float) -> SendOutcome:
        """Post one part within `timeout` seconds; its receipts come to the URL with our reference to it."""
        message = NewMessage(
            to=provider_address(delivery.recipient),
            sender=provider_address(delivery.sender),
            body=part.text,
            status_callback=f"{self._status_url}?{receipt_reference(delivery, part)}{SMS_RETRIES}",
            validity_seconds=self._rules_of(delivery.sender).validity_seconds,
        )
        return await self._rest.create_message(message, timeout)

    async def find(self, delivery: Delivery, part: Part) -> Taken | OutcomeUnknown | None:
        """The oldest message that may be this part and is not another one's, since the part was claimed."""
        if part.claimed_at is None:
            return None
        listed = await self._rest.list_messages(
            provider_address(delivery.recipient), provider_address(delivery.sender)
        )
        if isinstance(listed, OutcomeUnknown):
            return listed
        since, until = part.claimed_at - _SLACK, self._clock.now() + _SLACK
        candidates = [m for m in listed if since <= m.created_at <= until and _is_body_of(m, part.text)]
        if not candidates:
            return None
        taken = await self._bound([m.sid for m in candidates])
        free = [m for m in candidates if m.sid not in taken]
        # Twilio lists the newest first.
        return Taken(min(reversed(free), key=lambda m: m.created_at).sid) if free else None

    async def close(self) -> None:
        """Close the connections to Twilio."""
        await self._rest.close()


def _is_body_of(message: SentMessage, text: str) -> bool:
    return message.direction.startswith("outbound") and _normalised(message.body) == _normalised(text)


def _normalised(text: str) -> str:
    """A body as it may be compared: carriers and APIs disagree about line ends and outer white space."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").strip())
