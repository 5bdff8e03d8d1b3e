"""Which adapter sends for which channel through which provider: an explicit table.

A vendor's SDK is imported when its adapter is built, and only then.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from channels.sms.parts import Bound, RulesOf
from channels.sms.sandbox import SandboxSms
from channels.twilio.credentials import TwilioCredentials
from gateway.domain.clock import Clock
from gateway.domain.message import Channel
from gateway.domain.ports import Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """What senders are built from."""

    public_url: str
    """What providers see, without a trailing slash; receipts are sent there."""
    clock: Clock
    rules_of: RulesOf
    """How replies from one of our numbers are cut."""
    bound: Bound
    """Which provider message ids belong to parts already."""
    twilio: TwilioCredentials | None = None


class ChannelSender(Sender, Protocol):
    """A sender that may hold connections open."""

    async def close(self) -> None:
        """Close them."""
        ...


Build = Callable[[Egress], ChannelSender]


def _twilio_sms(egress: Egress) -> ChannelSender:
    from channels.sms.twilio import TwilioSms
    from channels.twilio.client import TwilioRest

    if egress.twilio is None:
        raise ValueError("sending text messages through Twilio needs its credentials")
    return TwilioSms(
        TwilioRest(egress.twilio),
        public_url=egress.public_url,
        clock=egress.clock,
        rules_of=egress.rules_of,
        bound=egress.bound,
    )


def _sandbox_sms(egress: Egress) -> ChannelSender:
    return SandboxSms(egress.rules_of)


SENDERS: Mapping[tuple[Channel, str], Build] = MappingProxyType(
    {
        (Channel.SMS, "twilio"): _twilio_sms,
        (Channel.SMS, "sandbox"): _sandbox_sms,
    }
)
"""(channel, provider) → how its sender is built; ValueError where what it needs is missing."""
