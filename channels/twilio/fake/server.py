"""The fake Twilio itself: a REST server on loopback, and a source of texts and calls.

It stands in for Twilio in `make demo`, in tests, under the chaos tests and in the benchmark.
"""

from collections.abc import Iterable, Sequence

from aiohttp import web

from channels.twilio.fake.callbacks import Step, twilio_report
from channels.twilio.fake.callresource import CallsResource
from channels.twilio.fake.calls import FakeCall
from channels.twilio.fake.callstate import CallParties, CallStatus
from channels.twilio.fake.ledger import Draft, Ledger, Message, new_sid
from channels.twilio.fake.media import MediaResource
from channels.twilio.fake.messages import MessagesResource
from channels.twilio.fake.numbers import NumbersResource
from channels.twilio.fake.outgoing import MAX_BODY_UNITS, segments
from channels.twilio.fake.phones import Phone
from channels.twilio.fake.provider import FakeProvider
from channels.twilio.fake.rest import Gate
from channels.twilio.fake.rooms import Rooms
from channels.twilio.fake.webhooks import WebhookAnswer, Webhooks
from channels.twilio.fake.whispers import whisper

WEBHOOK_CONNECTIONS = 128
SMS_PATH = "/webhooks/twilio/sms"
VOICE_PATH = "/webhooks/twilio/voice"
VOICE_STATUS_PATH = "/webhooks/twilio/voice/status"


class FakeTwilio(FakeProvider):
    """One Twilio account, served on a loopback port."""

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        *,
        webhook_url: str = "",
        statuses: Sequence[str] = ("queued", "sent", "delivered"),
        callback_delay: float = 0.02,
        ledger: Ledger | None = None,
    ) -> None:
        self.account_sid = account_sid
        self.auth_token = auth_token
        self._webhooks = Webhooks(auth_token, WEBHOOK_CONNECTIONS)
        super().__init__(
            twilio_report(account_sid, self._webhooks),
            ledger or Ledger(),
            webhook_url=webhook_url,
            statuses=statuses,
            callback_delay=callback_delay,
        )
        self._steps_to: dict[str, list[Step]] = {}
        gate = Gate(account_sid, auth_token, self._dice)
        self._messages = MessagesResource(
            gate, self._ledger, self._callbacks, lambda to: self._steps_to.get(to, self._steps)
        )
        self._media = MediaResource(gate)
        self._calls = CallsResource(gate, self._webhooks)
        self.numbers = NumbersResource(gate)
        """The numbers of the account and how they are set up."""

    def routes(self) -> Iterable[web.RouteDef]:
        """The resources of the REST API."""
        resources = (self._messages, self._calls, self._media, self.numbers)
        return [route for resource in resources for route in resource.routes()]

    async def stop(self) -> None:
        """Close everything; callbacks that have not been sent are not sent. The ledger can still be read."""
        await super().stop()
        await self._calls.stop()
        await self._webhooks.close()
        self._ledger.close()

    @property
    def inbound(self) -> Sequence[Message]:
        """What `text` sent to the webhook, in order."""
        return self._ledger.inbound

    @property
    def calls(self) -> Sequence[FakeCall]:
        """All calls, in order."""
        return tuple(self._calls.calls.values())

    def phone(self, number: str, phone: Phone) -> None:
        """From now on whoever is called at this number behaves like this."""
        self._calls.phones[number] = phone

    def pauses(self, second: float) -> None:
        """From now on a second of a call's pauses takes this long; at first none."""
        self._calls.second = second

    @property
    def rooms(self) -> Rooms:
        """The conferences."""
        return self._calls.rooms

    async def whisper(self, call: FakeCall, keys: str) -> tuple[list[str], bool]:
        """Whoever a call is being connected to picks up and presses these keys.

        What they hear, and whether they are joined.
        """
        return await whisper(self._webhooks, call, keys)

    def keep_media(self, content: bytes, media_type: str, location: str = "", message: str = "") -> str:
        """Keep a file of a message to come; its `MediaUrl0`. `location`: where that redirects to."""
        return self.url + self._media.keep(content, media_type, location, message)

    def by_pair(self, to: str, from_: str | None = None) -> list[Message]:
        """What was sent through the API to a number (from a sender, where given), in order of acceptance."""
        return [
            message
            for message in self._ledger.to(to)
            if message.direction != "inbound" and from_ in (None, message.from_)
        ]

    def statuses_for(self, to: str, statuses: Sequence[str]) -> None:
        """From now on messages to this number go through these statuses instead of the usual ones."""
        self._steps_to[to] = [Step.parse(status) for status in statuses]

    async def text(self, from_: str, to: str, body: str, *, via: str = "", **extra: str) -> WebhookAnswer:
        """A person texts one of our numbers; returns what the SMS webhook answered.

        `extra` adds form fields or replaces them (the same `MessageSid` twice is a repeated webhook); `via`
        is a base URL to connect to while the signature is for `webhook_url`. Raises WebhookUnreachable, and
        ValueError for a NumMedia that is no number.
        """
        body = body[:MAX_BODY_UNITS]
        media = int(extra.get("NumMedia", "0"))
        sid = extra.get("MessageSid") or new_sid("MM" if media else "SM")
        self._ledger.accept(Draft(to, from_, body, "received", direction="inbound", sid=sid, media=media))
        fields = {
            "ToCountry": "US",
            "ToState": "",
            "ToCity": "",
            "ToZip": "",
            "FromCountry": "US",
            "FromState": "",
            "FromCity": "",
            "FromZip": "",
            "SmsMessageSid": sid,
            "SmsSid": sid,
            "MessageSid": sid,
            "AccountSid": self.account_sid,
            "SmsStatus": "received",
            "NumMedia": "0",
            "NumSegments": str(segments(body)),
            "From": from_,
            "To": to,
            "Body": body,
            "ApiVersion": "2010-04-01",
        } | extra
        return await self._webhooks.post(self.webhook_url + SMS_PATH, list(fields.items()), via=via)

    async def call(self, from_: str, to: str) -> FakeCall:
        """A person calls one of our numbers; returns when the first document waits for them, or has ended."""
        call = self._calls.add(CallParties(from_, to, status_callback=self.webhook_url + VOICE_STATUS_PATH))
        call.status = CallStatus.RINGING
        await call.fetch(self.webhook_url + VOICE_PATH)
        return call
