"""The agents that a configuration declares, ready to answer."""

from collections.abc import Mapping
from types import MappingProxyType

from gateway import settings
from gateway.domain.intent import CallTransferIntent
from gateway.domain.ports import Agent
from gateway.domain.reply import ServedAgent
from gateway.domain.steps import PolicyPoint
from gateway.domain.transfers import Transfers
from gateway.settings.addresses import parse_destination
from gateway.settings.agents import AgentConfig, AgentDefinition
from workers.agents.demo import DemoAgent
from workers.agents.http import HttpAgent, HttpAgents
from workers.agents.llm.agent import LlmAgent
from workers.agents.policed import PolicedAgent
from workers.agents.policies import CallPolicies, load_policies
from workers.agents.python import PythonAgent
from workers.agents.tools.toolbox import tools_of

Catalogue = Mapping[str, ServedAgent]
"""Agents by their id."""


def build_agents(config: settings.GatewayConfig, http: HttpAgents) -> Catalogue:
    """All agents of a configuration; SettingsError with every one that cannot be used.

    `http` need not be open yet, and may be shared by the catalogues before and after a reload.
    """
    catalogue: dict[str, ServedAgent] = {}
    problems: list[str] = []
    for agent in config.agents.values():
        try:
            catalogue[agent.id] = build_agent(agent, http)
        except settings.SettingsError as error:
            problems += [f"agents.{agent.slug}: {problem}" for problem in error.problems]
    if problems:
        raise settings.SettingsError(problems)
    return MappingProxyType(catalogue)


def build_agent(agent: AgentConfig, http: HttpAgents) -> ServedAgent:
    """One agent; SettingsError if it cannot be used."""
    return ServedAgent(_agent_of(agent.definition, http), _transfers_of(agent.definition))


def _agent_of(definition: AgentDefinition, http: HttpAgents) -> Agent:
    agent = _unpoliced(definition, http)
    on_input = load_policies(definition.policies, PolicyPoint.INPUT)
    on_reply = load_policies(definition.policies, PolicyPoint.REPLY)
    return PolicedAgent(agent, on_input, on_reply) if on_input or on_reply else agent


def _unpoliced(definition: AgentDefinition, http: HttpAgents) -> Agent:
    match definition:
        case settings.DemoAgent():
            return DemoAgent(tuple(definition.transfers))
        case settings.HttpAgent():
            return HttpAgent(str(definition.url), http)
        case settings.PythonAgent():
            return PythonAgent(definition.target)
        case settings.LlmAgent():
            calls = load_policies(definition.policies, PolicyPoint.TOOL_CALL)
            return LlmAgent(definition, tools_of(definition, http), CallPolicies(calls), http)
        case _:
            raise settings.SettingsError([f'kind = "{definition.kind}" arrives with a later version'])


def _transfers_of(definition: AgentDefinition) -> Transfers:
    """Labels for all; raw destinations where the agent is code of the operator's own."""
    labels = {
        label: CallTransferIntent(
            destination=transfer.destination,
            mode=transfer.mode,
            label=label,
            warm_destinations=list(transfer.warm_destinations),
        )
        for label, transfer in definition.transfers.items()
    }
    trusted = isinstance(definition, settings.HttpAgent | settings.PythonAgent)
    return Transfers(labels, raw=parse_destination if trusted else None)
