"""What gateway.toml declares, checked and frozen: the organisation, its addresses, agents and channels."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType

from gateway.domain.call_rules import CallRules
from gateway.domain.fallback import HandoffTimeoutAction
from gateway.domain.identity import WHATSAPP
from gateway.domain.ids import named_id, parse_id
from gateway.domain.message import Channel
from gateway.domain.pace import DEFAULT_PACE
from gateway.domain.quiet import QuietHours
from gateway.domain.send_rules import RECONCILE_AFTER, OnUnknown
from gateway.domain.usage import MILLION, Caps
from gateway.settings.addresses import parse_address
from gateway.settings.agents import AgentConfig, read_agent
from gateway.settings.call_table import call_rules
from gateway.settings.refusals import dotted, nearest, shown
from gateway.settings.tables import (
    AddressTable,
    ChannelTable,
    ConfigTables,
    OrganisationTable,
    SmsProvider,
    VoiceMode,
)


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """The values in force on a channel or at one of its addresses."""

    idle_ttl: timedelta
    """After this long without a message an open conversation expires."""
    retention: timedelta | None = None
    """After this long a terminal conversation is purged; None: never."""
    coalesce_seconds: float = 0
    """How long a turn waits for more input."""
    quiet_hours: QuietHours | None = None
    max_parts: int = 5
    """The most SMS that one reply may take."""
    number_parts: bool = True
    """Whether the parts of a long reply are numbered."""
    segments_per_second: float | None = None
    """What goes out from an address at most, over all processes; None: whatever the provider takes."""
    segment_price: float = 0
    """Of one segment of a text, in the currency of the cap on spend."""
    cancel_unsent: bool = False
    """Whether a later turn's reply replaces what has not left of an earlier one."""
    on_unknown: OnUnknown = OnUnknown.RESEND
    """What becomes of a part whose outcome cannot be learnt."""
    on_unknown_first: OnUnknown | None = None
    """The same of a message that begins a conversation; None: as of all others."""
    resend_after: timedelta = timedelta(seconds=RECONCILE_AFTER)
    """After this long an attempt that left no trace at the provider counts as not taken."""
    validity: timedelta = timedelta(minutes=10)
    """After this long in the queue of Twilio a text is not sent any more; Telnyx has no such thing."""
    messages_per_hour: int = DEFAULT_PACE.messages_per_hour
    """Texts of one sender that are answered; 0: all."""
    answers_per_hour: int = DEFAULT_PACE.answers_per_hour
    """The agent's answers in one conversation; 0: any number."""
    domain_messages_per_hour: int = DEFAULT_PACE.domain_messages_per_hour
    """Mails of proven senders of one domain that are answered; 0: all."""
    from_name: str | None = None
    """Who mail is from, before the mailbox; None: the mailbox alone."""
    provider_handles_optout: bool = True
    """Whether the provider answers STOP, START and HELP: we record them, and say nothing."""
    stop_text: str | None = None
    """Said once to a STOP, where the provider does not; None: a sentence that names the organisation."""
    start_text: str | None = None
    help_text: str | None = None
    failure_text: str | None = None
    """Said once where a turn was given up; None: nothing is said."""
    handoff_timeout: timedelta | None = None
    """How long a handoff may wait for somebody to take it; None: for ever."""
    handoff_timeout_action: HandoffTimeoutAction = HandoffTimeoutAction.RETURN
    handoff_timeout_text: str | None = None
    """Said once where nobody took a handoff in time."""
    calls: CallRules = field(default_factory=CallRules)
    """Of voice only."""

    def overlaid(self, table: ChannelTable) -> "ChannelConfig":
        """The same with the values that a table sets."""
        given = {name: getattr(table, name) for name in ChannelTable.model_fields}
        given = {name: value for name, value in given.items() if value is not None}
        calls = call_rules(self.calls, given)
        return replace(self, calls=calls, **given)


_DEFAULTS = {
    Channel.API: ChannelConfig(timedelta(hours=24)),
    Channel.SMS: ChannelConfig(timedelta(hours=72), resend_after=timedelta(minutes=2)),
    Channel.EMAIL: ChannelConfig(timedelta(days=30)),
    Channel.VOICE: ChannelConfig(timedelta(hours=1)),
}


@dataclass(frozen=True, slots=True)
class AddressConfig:
    """One address of ours and who answers there."""

    channel: Channel
    address: str
    """E.164, a short code, or a mailbox in lower case."""
    agent: str
    """The slug of the agent that answers."""
    voice_mode: VoiceMode | None
    """Of voice addresses only; `webhook` unless set."""
    values: ChannelConfig
    """The channel's values with those of the address over them."""
    provider: SmsProvider | None = None
    """Of SMS addresses only; None: whoever's credentials are there."""
    failover: tuple[str, ...] = ()
    """Others of ours that send where this one cannot: with it, one sender to the people it writes to."""


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """A checked gateway.toml. Two are equal when they declare the same."""

    organisation: str
    default_slug: str | None
    agents: Mapping[str, AgentConfig]
    """By slug, in the order of the file."""
    addresses: Mapping[tuple[Channel, str], AddressConfig]
    channels: Mapping[Channel, ChannelConfig]
    organization_id: str
    rate_limit: int
    """Requests a second of one key, a process."""
    rate_burst: int
    web_origins: frozenset[str]
    """The sites whose pages may ask, as browsers write them."""
    caps: Caps
    """The most that may be used on a day."""
    _together: Mapping[tuple[Channel, str], tuple[str, ...]] = field(repr=False, compare=False)
    _agents_by_id: Mapping[str, AgentConfig] = field(repr=False, compare=False)

    def agent(self, name: str) -> AgentConfig | None:
        """An agent by its slug or by its id."""
        agent = self.agents.get(name) or self._agents_by_id.get(name)
        return agent or self._agents_by_id.get(parse_id(name) or "")

    def default_agent(self) -> AgentConfig | None:
        """The agent that answers where nothing else says: `default_agent`, else the only agent."""
        return self.agents.get(self.default_slug) if self.default_slug else None

    def address(self, channel: Channel, address: str) -> AddressConfig | None:
        """The configuration of an address in any spelling; None if it is not one of ours."""
        entry = self.addresses.get((channel, address))  # most are spelt as they are kept
        if entry is not None:
            return entry
        try:
            return self.addresses.get((channel, parse_address(channel, address)))
        except ValueError:
            return None

    def senders_with(self, channel: Channel, address: str) -> tuple[str, ...]:
        """The addresses that are one sender with this one, in the order in which they take over."""
        return self._together.get((channel, address), (address,))

    def addresses_of(self, channel: Channel) -> tuple[AddressConfig, ...]:
        """The addresses of a channel, in the order of the file."""
        return tuple(entry for entry in self.addresses.values() if entry.channel is channel)

    def channel(self, channel: Channel, address: str | None = None) -> ChannelConfig:
        """The values in force on a channel, or at an address of ours there."""
        entry = self.address(channel, address) if address is not None else None
        return entry.values if entry else self.channels[channel]


def organization_id_of(name: str) -> str:
    """The id of an organisation, which follows from its name alone."""
    return named_id(name)


def read_config(tables: ConfigTables, problems: list[str]) -> GatewayConfig:
    """The configuration that the tables declare; what is wrong with it is added to the list."""
    organization_id = organization_id_of(tables.organisation.name)
    read = [read_agent(slug, raw, organization_id, problems) for slug, raw in tables.agents.items()]
    agents = {agent.slug: agent for agent in read if agent}
    default = tables.organisation.default_agent
    if default is not None:
        _check_agent(default, tables.agents, "organisation.default_agent", problems)
    elif len(tables.agents) == 1:
        default = next(iter(tables.agents))
    channels = {
        channel: values.overlaid(getattr(tables.channels, channel.value))
        for channel, values in _DEFAULTS.items()
    }
    channels[Channel.WEB] = channels[Channel.API]
    addresses: dict[tuple[Channel, str], AddressConfig] = {}
    for index, table in enumerate(tables.addresses):
        place = dotted("addresses", index)
        entry = _address(table, default or "", channels)
        if (entry.channel, entry.address) in addresses:
            problems.append(f"{place}.address: {entry.channel} {shown(entry.address)} is there twice")
        if entry.agent:
            _check_agent(entry.agent, tables.agents, f"{place}.agent", problems)
        else:
            problems.append(f"{place}.agent: missing, and there is no organisation.default_agent")
        _check_whatsapp(entry, place, problems)
        addresses[entry.channel, entry.address] = entry
    together = _together(addresses, problems)
    return GatewayConfig(
        organisation=tables.organisation.name,
        default_slug=default,
        agents=MappingProxyType(agents),
        addresses=MappingProxyType(addresses),
        channels=MappingProxyType(channels),
        organization_id=organization_id,
        rate_limit=tables.organisation.rate_limit,
        rate_burst=tables.organisation.rate_burst,
        web_origins=frozenset(tables.channels.web.origins),
        caps=_caps(tables.organisation, organization_id),
        _together=together,
        _agents_by_id=MappingProxyType({agent.id: agent for agent in agents.values()}),
    )


def _caps(table: OrganisationTable, organization_id: str) -> Caps:
    spend = table.spend_per_day
    return Caps(
        organization_id=organization_id,
        messages_per_day=table.messages_per_day,
        spend_per_day=None if spend is None else max(1, round(spend * MILLION)),
    )


def _address(table: AddressTable, default: str, channels: Mapping[Channel, ChannelConfig]) -> AddressConfig:
    channel = Channel(table.channel)
    mode = (table.voice_mode or VoiceMode.WEBHOOK) if channel is Channel.VOICE else None
    whatsapp = SmsProvider.TWILIO if table.address.startswith(WHATSAPP) else None
    return AddressConfig(
        channel,
        table.address,
        table.agent or default,
        mode,
        channels[channel].overlaid(table),
        table.provider or whatsapp,
        table.failover,
    )


def _check_whatsapp(entry: AddressConfig, place: str, problems: list[str]) -> None:
    """A WhatsApp sender is Twilio's, and stands in for its like only."""
    whatsapp = entry.address.startswith(WHATSAPP)
    if whatsapp and entry.provider is SmsProvider.TELNYX:
        problems.append(f"{place}.provider: WhatsApp is carried by twilio only")
    if any(other.startswith(WHATSAPP) is not whatsapp for other in entry.failover):
        problems.append(f"{place}.failover: a number and a WhatsApp sender cannot stand in for each other")


def _together(
    addresses: Mapping[tuple[Channel, str], AddressConfig], problems: list[str]
) -> Mapping[tuple[Channel, str], tuple[str, ...]]:
    """Which addresses are one sender; an address belongs to one such list at most."""
    found: dict[tuple[Channel, str], tuple[str, ...]] = {}
    for (channel, address), entry in addresses.items():
        if not entry.failover:
            continue
        everyone = (address, *entry.failover)
        for other in everyone:
            place = f"addresses: the failover of {shown(address)}"
            if (channel, other) not in addresses:
                problems.append(f"{place}: {shown(other)} is no {channel} address of this file")
            elif (channel, other) in found or everyone.count(other) > 1:
                problems.append(f"{place}: {shown(other)} is there twice, or in another address's failover")
            found[channel, other] = everyone
    return MappingProxyType(found)


def _check_agent(slug: str, known: Mapping[str, object], place: str, problems: list[str]) -> None:
    if slug not in known:
        near = nearest(slug, known)
        advice = f"; nearest valid name: {near}" if near else ""
        problems.append(f"{place}: no agent is called {shown(slug)}{advice}")
