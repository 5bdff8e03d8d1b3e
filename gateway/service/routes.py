"""What configuration says about where a conversation goes: the agent that answers, and how long it lives."""

from collections.abc import Container
from datetime import timedelta

from gateway.domain.clock import SECOND
from gateway.domain.consent import ConsentRules
from gateway.domain.conversation import Conversation
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.fallback import NO_FALLBACKS, Fallbacks
from gateway.domain.identity import WHATSAPP
from gateway.domain.message import Channel
from gateway.domain.pace import Pace
from gateway.domain.send_rules import (
    LANE_HELD_AT_MOST,
    MAIL_ATTEMPTS,
    MAIL_WAITS,
    TEXT_ATTEMPTS,
    TEXT_WAITS,
    SendRules,
)
from gateway.domain.usage import MILLION, Meter
from gateway.service.accept import ATTACHMENTS_PATH, Route
from gateway.settings import AddressConfig, AgentConfig, ChannelConfig, GatewayConfig, LlmAgent, VoiceMode

_MICROSECOND = timedelta(microseconds=1)


def route_of(
    config: GatewayConfig,
    agent: AgentConfig,
    values: ChannelConfig,
    partitions: int,
    attachments_url: str = ATTACHMENTS_PATH,
    ours: str | None = None,
) -> Route:
    """The route of a conversation with `agent`, under the values in force where it takes place.

    `ours`: the number it is held on.
    """
    senders = () if ours is None else config.senders_with(Channel.SMS, ours)
    return Route(
        organization_id=config.organization_id,
        agent_id=agent.id,
        revision_id=agent.revision_id,
        idle_ttl=values.idle_ttl // _MICROSECOND,
        retention=None if values.retention is None else values.retention // _MICROSECOND,
        partitions=partitions,
        attachments_url=attachments_url,
        pace=Pace(
            messages_per_hour=values.messages_per_hour,
            answers_per_hour=values.answers_per_hour,
            domain_messages_per_hour=values.domain_messages_per_hour,
        ),
        quiet=values.quiet_hours,
        coalesce=int(values.coalesce_seconds * SECOND),
        senders=senders,
        consent=consent_rules_of(config, values, senders),
    )


def consent_rules_of(config: GatewayConfig, values: ChannelConfig, senders: tuple[str, ...]) -> ConsentRules:
    """What is said to STOP, START and HELP; who says it is named, as carriers want it."""
    name = config.organisation
    return ConsentRules(
        senders=senders,
        provider_answers=values.provider_handles_optout,
        stop=values.stop_text
        or f"{name}: you will receive no more messages from this number. Reply START to receive them again.",
        start=values.start_text
        or f"{name}: you will receive messages from this number again. Reply STOP to end that.",
        help=values.help_text
        or f"{name}: an assistant answers this number. Reply STOP to receive no more messages.",
    )


def fallbacks_of(config: GatewayConfig, conversation: Conversation) -> Fallbacks:
    """What a conversation's end user gets when nobody answers."""
    if conversation.organization_id != config.organization_id:
        return NO_FALLBACKS
    values = config.channel(conversation.channel, conversation.our_address)
    timeout = values.handoff_timeout
    lines = values.calls.texts if conversation.channel is Channel.VOICE else None
    return Fallbacks(
        failure_text=values.failure_text,
        apology=None if lines is None else lines.apology,
        hold=None if lines is None else lines.hold,
        handoff_timeout=None if timeout is None else timeout // _MICROSECOND,
        handoff_timeout_action=values.handoff_timeout_action,
        handoff_timeout_text=values.handoff_timeout_text,
    )


def send_rules_of(config: GatewayConfig, channel: Channel, address: str) -> SendRules:
    """How what goes out from one of our addresses is paced, and what happens when it goes wrong."""
    values = config.channel(channel, address)
    mail = channel is Channel.EMAIL
    return SendRules(
        attempts=MAIL_ATTEMPTS if mail else TEXT_ATTEMPTS,
        waits=MAIL_WAITS if mail else TEXT_WAITS,
        hold_seconds=0 if mail else LANE_HELD_AT_MOST,
        segments_per_second=values.segments_per_second,
        resend_after=int(values.resend_after.total_seconds()),
        on_unknown=values.on_unknown,
        on_unknown_first=values.on_unknown_first or values.on_unknown,
        cancel_unsent=values.cancel_unsent,
        failover=_after(config.senders_with(channel, address), address),
        meter=_meter(config, segment_price=_millionths(values.segment_price)),
    )


def turn_meter_of(config: GatewayConfig, conversation: Conversation) -> Meter | None:
    """What counts a conversation's turns; None where there is no cap."""
    if conversation.organization_id != config.organization_id:
        return None
    agent = config.agent(conversation.assigned_agent_id)
    if agent is None:  # it has gone from the file, and its conversations go on
        return _meter(config)
    definition = agent.definition
    embeddings = definition.embeddings_price if isinstance(definition, LlmAgent) else 0
    return _meter(
        config,
        input_price=_millionths(definition.input_price),
        output_price=_millionths(definition.output_price),
        embeddings_price=_millionths(embeddings),
    )


def _meter(config: GatewayConfig, **prices: int) -> Meter | None:
    return None if config.caps.none else Meter(caps=config.caps, **prices)


def _millionths(price: float) -> int:
    return round(price * MILLION)


def _after(senders: tuple[str, ...], address: str) -> str | None:
    """Who takes over from a sender; None after the last."""
    place = senders.index(address) + 1
    return senders[place] if place < len(senders) else None


def agent_for(config: GatewayConfig, assistant: str | None, address: AddressConfig | None) -> AgentConfig:
    """The agent asked for (by id or slug), else that of the address, else the default one.

    Raises GatewayError: `agent_not_found`, `no_default_agent`.
    """
    if assistant is not None:
        asked = config.agent(assistant)
        if asked is None:
            raise GatewayError(
                ErrorCode.AGENT_NOT_FOUND, "there is no such agent; GET /v1/agents lists those there are"
            )
        return asked
    found = config.agent(address.agent) if address is not None else config.default_agent()
    if found is None:
        raise GatewayError(
            ErrorCode.NO_DEFAULT_AGENT,
            "no agent is the default; name one in assistant_id, or set default_agent in gateway.toml",
        )
    return found


def our_address(
    config: GatewayConfig, channel: Channel, wanted: str | None, assistant: str | None
) -> AddressConfig | None:
    """The address that speaks on a channel that delivers: the one wanted, else the first of the agent's.

    None where the channel needs none, or this gateway has none there. Raises GatewayError `no_address`
    for an address that is not one of ours.
    """
    if not channel.delivers:
        return None
    if wanted is not None:
        found = config.address(channel, wanted)
        if found is None:
            raise GatewayError(
                ErrorCode.NO_ADDRESS, f"this is no {channel} address of this gateway; see gateway.toml"
            )
        return found
    # a WhatsApp sender only where it is asked for: it may not begin without a template, nor write to a number
    ours = [entry for entry in config.addresses_of(channel) if not entry.address.startswith(WHATSAPP)]
    agent = config.agent(assistant) if assistant is not None else config.default_agent()
    return next(
        (entry for entry in ours if agent is not None and entry.agent == agent.slug), next(iter(ours), None)
    )


def calling_address(
    config: GatewayConfig, wanted: str | None, assistant: str | None, can_call: Container[VoiceMode | None]
) -> AddressConfig:
    """The number that calls: the one wanted, else the agent's first that can, else the first of all.

    `can_call`: how the calls of a number are carried that can. Raises GatewayError `no_address` for one that
    is not ours, or cannot: the queue contract has no intent for it, and jambonz needs an account.
    """
    if wanted is not None:
        found = config.address(Channel.VOICE, wanted)
        if found is None:
            raise GatewayError(
                ErrorCode.NO_ADDRESS, "`from` is no voice address of this gateway; see gateway.toml"
            )
        if found.voice_mode not in can_call:
            raise GatewayError(
                ErrorCode.NO_ADDRESS,
                f"calls cannot begin at this number: its voice_mode is {found.voice_mode}, and such a host"
                " cannot be asked to call anybody; use a number with voice_mode relay or webhook, or jambonz"
                " with JAMBONZ_API_KEY",
            )
        return found
    ours = [entry for entry in config.addresses_of(Channel.VOICE) if entry.voice_mode in can_call]
    if not ours:
        raise GatewayError(
            ErrorCode.NO_ADDRESS,
            "this gateway has no number that can call; declare one with voice_mode relay or webhook, or"
            " jambonz with JAMBONZ_API_KEY",
        )
    agent = config.agent(assistant) if assistant is not None else config.default_agent()
    return next((entry for entry in ours if agent is not None and entry.agent == agent.slug), ours[0])
