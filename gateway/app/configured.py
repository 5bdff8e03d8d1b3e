"""The configuration in force and the agents it declares; replaced together on a reload."""

from datetime import timedelta

from gateway.domain.consent import ConsentTexts
from gateway.domain.conversation import Conversation
from gateway.domain.delivery import SendRules
from gateway.domain.fallback import Fallbacks
from gateway.domain.message import Channel
from gateway.domain.reply import ServedAgent
from gateway.service.routes import consent_texts_of, fallbacks_of, send_rules_of
from gateway.settings import GatewayConfig, SettingsError
from workers.agents.catalogue import Catalogue, build_agents
from workers.agents.http import HttpAgents


class Configured:
    """Answers what the configuration in force says; whoever holds it sees a reload at once."""

    def __init__(self, config: GatewayConfig, http_agents: HttpAgents) -> None:
        self._http_agents = http_agents
        self.config = config
        self._agents: Catalogue = build_agents(config, http_agents)

    def current(self) -> GatewayConfig:
        """The configuration in force."""
        return self.config

    def agent(self, agent_id: str) -> ServedAgent | None:
        """An agent by id."""
        return self._agents.get(agent_id)

    def fallbacks(self, conversation: Conversation) -> Fallbacks:
        """What a conversation's end user gets when nobody answers."""
        return fallbacks_of(self.config, conversation)

    def send_rules(self, channel: Channel, address: str) -> SendRules:
        """How what goes out from one of our addresses is sent."""
        return send_rules_of(self.config, channel, address)

    def window(self, channel: Channel, ours: str | None) -> timedelta:
        """How long a turn at one of our addresses waits for more input."""
        return timedelta(seconds=self.config.channel(channel, ours).coalesce_seconds)

    def consent(self, conversation: Conversation) -> ConsentTexts:
        """What is said to somebody who wants no more messages."""
        values = self.config.channel(conversation.channel, conversation.our_address)
        ours = conversation.our_address
        senders = () if ours is None else self.config.senders_with(conversation.channel, ours)
        return consent_texts_of(self.config, values, senders)

    def replace(self, config: GatewayConfig) -> None:
        """Take a new configuration, or raise SettingsError and keep the old one."""
        if config.organization_id != self.config.organization_id:
            raise SettingsError(["organisation.name: cannot change while the gateway runs; restart it"])
        self._agents = build_agents(config, self._http_agents)
        self.config = config
