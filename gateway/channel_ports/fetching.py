"""What is asked of providers: texts whose webhook never arrived, and the files of messages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from channels.media import MediaClient
from channels.telnyx.media import telnyx_media
from channels.twilio.media import twilio_media
from gateway.channel_ports.accounts import telnyx_credentials, twilio_credentials
from gateway.domain.clock import Clock
from gateway.domain.message import Channel
from gateway.domain.ports.ingress import Accept
from gateway.domain.ports.store import Store
from gateway.service.ingress import known_messages
from gateway.settings import GatewayConfig, Settings, SmsProvider

if TYPE_CHECKING:
    from channels.sms.sweep import TwilioSweep
    from channels.twilio.client import TwilioRest


@dataclass(frozen=True, slots=True)
class Sweep:
    """Looks for texts whose webhook never arrived."""

    sweeper: "TwilioSweep"
    rest: "TwilioRest"

    async def close(self) -> None:
        """Close its connections."""
        await self.rest.close()


def sweep(
    settings: Settings, config: Callable[[], GatewayConfig], store: Store, clock: Clock, accept: Accept
) -> Sweep | None:
    """The sweep of our Twilio account; None without one."""
    credentials = twilio_credentials(settings)
    if credentials is None or credentials.account_sid is None:
        return None
    from channels.sms.sweep import TwilioSweep
    from channels.twilio.client import TwilioRest

    def numbers() -> list[str]:
        """Those that Twilio serves, as it calls them."""
        ours = config().addresses_of(Channel.SMS)
        return [entry.address for entry in ours if entry.provider in (None, SmsProvider.TWILIO)]

    async def known(ids: Sequence[str]) -> set[str]:
        return await store.read(known_messages, config().organization_id, "twilio", ids)

    rest = TwilioRest(credentials)
    return Sweep(TwilioSweep(rest, clock, accept, known, numbers), rest)


@dataclass(frozen=True, slots=True)
class Media:
    """Who fetches the files of messages, by provider."""

    by_provider: Mapping[str, MediaClient]

    async def close(self) -> None:
        """Close their connections."""
        for client in self.by_provider.values():
            await client.close()


def media(settings: Settings) -> Media:
    """A fetcher for each provider whose messages this process can take."""
    twilio = twilio_credentials(settings)
    found: dict[str, MediaClient] = {}
    if twilio is not None:
        found["twilio"] = twilio_media(twilio)
    if telnyx_credentials(settings) is not None:
        found["telnyx"] = telnyx_media(settings.telnyx_media_domains)
    return Media(found)
