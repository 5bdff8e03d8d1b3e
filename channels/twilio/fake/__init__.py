"""A stateful fake of Twilio that ships with the gateway: messages, calls, callbacks, faults on request."""

from channels.twilio.fake.calls import FakeCall
from channels.twilio.fake.callstate import CallError, CallStatus
from channels.twilio.fake.faults import Faults
from channels.twilio.fake.ledger import Ledger, Message
from channels.twilio.fake.phones import Phone
from channels.twilio.fake.server import FakeTwilio
from channels.twilio.fake.webhooks import WebhookAnswer, WebhookUnreachable

__all__ = [
    "CallError",
    "CallStatus",
    "FakeCall",
    "FakeTwilio",
    "Faults",
    "Ledger",
    "Message",
    "Phone",
    "WebhookAnswer",
    "WebhookUnreachable",
]
