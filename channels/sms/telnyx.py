"""The way out for text messages: Telnyx's Messages resource.

Telnyx has neither an idempotency key for messages nor a list to look one up in. That it took a message whose
answer was lost is learnt from its events, which carry our reference in the message's own webhook URL.

Nor can a message be given an end: Telnyx queues what is faster than a number's rate for up to four hours
(https://developers.telnyx.com/docs/messaging/messages/configuration-and-usage), and only tells of it
(`valid_until`). What is not to arrive late is paced here (`segments_per_second`).
"""

from collections.abc import Sequence

from channels.sms.parts import RulesOf, receipt_reference, sms_parts
from channels.telnyx.client import NewMessage, TelnyxRest
from channels.telnyx.events import PATH, PROVIDER
from channels.twilio.addresses import provider_address
from gateway.domain.delivery import Delivery, OutcomeUnknown, Part, PartText, SendOutcome, Taken


class TelnyxSms:
    """Sends parts as messages of one account."""

    provider = PROVIDER

    def __init__(self, rest: TelnyxRest, *, public_url: str, rules_of: RulesOf) -> None:
        """`public_url`: what Telnyx sees of us, without a trailing slash."""
        self._rest = rest
        self._webhook_url = public_url + PATH
        self._rules_of = rules_of

    def split(self, delivery: Delivery) -> Sequence[PartText]:
        """The parts of a reply."""
        return sms_parts(delivery, self._rules_of)

    async def send(self, delivery: Delivery, part: Part, timeout: float) -> SendOutcome:
        """Post one part within `timeout` seconds; its receipts come to the URL with our reference to it."""
        message = NewMessage(
            to=provider_address(delivery.recipient),
            sender=provider_address(delivery.sender),
            text=part.text,
            webhook_url=f"{self._webhook_url}?{receipt_reference(delivery, part)}",
        )
        return await self._rest.create_message(message, timeout)

    async def find(self, delivery: Delivery, part: Part) -> Taken | OutcomeUnknown | None:
        """None: Telnyx cannot tell. A part that it took is known from its event by now."""
        return None

    async def close(self) -> None:
        """Close the connections to Telnyx."""
        await self._rest.close()
