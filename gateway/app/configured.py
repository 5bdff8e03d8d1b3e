"""The configuration in force and the agents it declares; replaced together on a reload."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache, partial

from gateway.domain.agent import AgentFailed
from gateway.domain.call_rules import CallRules
from gateway.domain.consent import ConsentRules
from gateway.domain.conversation import Conversation
from gateway.domain.fallback import Fallbacks
from gateway.domain.message import Channel
from gateway.domain.ports.store import Store
from gateway.domain.quiet import QuietHours
from gateway.domain.send_rules import SendRules
from gateway.domain.served_agent import ServedAgent
from gateway.domain.summary import Summary, Transcript
from gateway.domain.turn_rules import TurnRules
from gateway.domain.usage import Caps, Meter
from gateway.service.knowledge import KnowledgeIndex
from gateway.service.revisions import RETIRED_AT_ONCE, activate_revisions, retire_revisions
from gateway.service.routes import consent_rules_of, fallbacks_of, send_rules_of, turn_meter_of
from gateway.service.summarise import extractive_summary
from gateway.settings import GatewayConfig, SettingsError, VoiceMode
from workers.agents.catalogue import AgentParts, Catalogue, build_agent, build_agents
from workers.agents.http import HttpAgents
from workers.agents.revisions import StoredRevisions

_RULES_KEPT = 1024
"""Places of which the rules are kept ready: addresses of ours, and who answers there."""


class Configured:
    """Answers what the configuration in force says; whoever holds it sees a reload at once."""

    def __init__(self, config: GatewayConfig, http_agents: HttpAgents, store: Store) -> None:
        self._http_agents = http_agents
        self._store = store
        self._knowledge = KnowledgeIndex(store)
        parts = AgentParts(http_agents, config.organization_id, self._knowledge)
        self._stored = StoredRevisions(store, lambda agent: build_agent(agent, parts))
        self._replacing = asyncio.Lock()
        self._take(config, build_agents(config, http_agents, self._knowledge))

    def current(self) -> GatewayConfig:
        """The configuration in force."""
        return self.config

    async def agent(self, conversation: Conversation) -> ServedAgent | None:
        """Who answers a conversation, at the revision that it began with; None: not configured any more.

        What no process has stored, as before there were revisions, is answered by the one in force. Raises
        AgentFailed where the revision cannot be used any more.
        """
        agent_id, revision_id = conversation.assigned_agent_id, conversation.pinned_revision_id
        if self._revisions.get(agent_id) != revision_id:
            stored = await self._stored.agent(conversation.organization_id, agent_id, revision_id)
            if stored is not None:
                return stored
        return self._agents.get(agent_id)

    def fallbacks(self, conversation: Conversation) -> Fallbacks:
        """What a conversation's end user gets when nobody answers."""
        return fallbacks_of(self.config, conversation)

    def send_rules(self, channel: Channel, address: str) -> SendRules:
        """How what goes out from one of our addresses is sent."""
        return self._send_rules(channel, address)

    def window(self, channel: Channel, ours: str | None) -> timedelta:
        """How long a turn at one of our addresses waits for more input."""
        return timedelta(seconds=self.config.channel(channel, ours).coalesce_seconds)

    def calls(self, number: str) -> CallRules:
        """What holds for the calls of a number of ours."""
        entry = self.config.address(Channel.VOICE, number)
        streams = entry is not None and entry.voice_mode in (VoiceMode.RELAY, VoiceMode.JAMBONZ)
        return replace(self.config.channel(Channel.VOICE, number).calls, streams=streams)

    def quiet(self, number: str) -> QuietHours | None:
        """When nobody is called unasked from a number of ours."""
        return self.config.channel(Channel.VOICE, number).quiet_hours

    def consent(self, conversation: Conversation) -> ConsentRules:
        """What is said to somebody who wants no more messages."""
        values = self.config.channel(conversation.channel, conversation.our_address)
        ours = conversation.our_address
        senders = () if ours is None else self.config.senders_with(conversation.channel, ours)
        return consent_rules_of(self.config, values, senders)

    def turn_rules(self, conversation: Conversation) -> TurnRules:
        """What is configured for where a conversation's turns take place."""
        ours, agent_id = conversation.our_address, conversation.assigned_agent_id
        place = (conversation.organization_id, conversation.channel, ours, agent_id)
        rules = self._turn_rules.get(place)
        if rules is None:
            if len(self._turn_rules) == _RULES_KEPT:
                self._turn_rules.clear()
            rules = self._turn_rules[place] = TurnRules(
                fallbacks=self.fallbacks(conversation),
                consent=self.consent(conversation),
                meter=self.meter(conversation),
            )
        return rules

    def caps(self) -> Caps:
        """The most that may be used on a day."""
        return self.config.caps

    async def activate(self) -> None:
        """Store the revisions in force: before anything is pinned to them. Raises Unavailable."""
        await self._activate(self.config)

    async def look_after_revisions(self) -> None:
        """Note which revisions are still in force, and delete those that nobody needs any more."""
        await self.activate()
        while await self._store.write(retire_revisions) == RETIRED_AT_ONCE:
            pass

    async def summarise(self, transcript: Transcript) -> Summary | None:
        """Sum a conversation up as its agent was configured to when it began. Raises AgentFailed.

        It is quoted where that is so configured, the agent is stopped or cannot be made any more, or nobody
        has proven who wrote: whoever writes under false names shall not have us pay a model for it.
        """
        quoted = await extractive_summary(transcript)
        if quoted is None or transcript.stopped or not transcript.proven:
            return quoted
        try:
            served = await self.agent(transcript.conversation)
        except AgentFailed:
            return quoted
        return quoted if served is None or served.summarise is None else await served.summarise(transcript)

    def meter(self, conversation: Conversation) -> Meter | None:
        """What counts what a conversation's agent costs; None where there is no cap."""
        return turn_meter_of(self.config, conversation)

    async def replace(self, config: GatewayConfig) -> None:
        """Take a new configuration, or raise SettingsError or Unavailable and keep the old one."""
        if config.organization_id != self.config.organization_id:
            raise SettingsError(["organisation.name: cannot change while the gateway runs; restart it"])
        async with self._replacing:
            agents = build_agents(config, self._http_agents, self._knowledge)
            await self._activate(config)
            self._take(config, agents)

    def _take(self, config: GatewayConfig, agents: Catalogue) -> None:
        self.config = config
        self._agents = agents
        self._revisions = {agent.id: agent.revision_id for agent in config.agents.values()}
        self._send_rules = lru_cache(_RULES_KEPT)(partial(send_rules_of, config))
        self._turn_rules: dict[tuple[str | None, ...], TurnRules] = {}

    async def _activate(self, config: GatewayConfig) -> None:
        agents = list(config.agents.values())
        await self._store.write(activate_revisions, config.organization_id, agents)
