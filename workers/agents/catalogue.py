"""The agents that a configuration declares, ready to answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from gateway import settings
from gateway.domain.ports.agent import Agent, Knowledge
from gateway.domain.served_agent import ServedAgent
from gateway.domain.steps import PolicyAction, PolicyPoint
from gateway.domain.summary import Summarise
from gateway.domain.transfers import Transfers
from gateway.settings.addresses import parse_destination
from gateway.settings.agents import AgentConfig, AgentDefinition
from gateway.settings.llm import MemorySource
from workers.agents.demo import DemoAgent
from workers.agents.flow.agent import FlowAgent
from workers.agents.flow.ports import chooser_of
from workers.agents.http import HttpAgent, HttpAgents
from workers.agents.knowing import KnowingAgent
from workers.agents.llm.agent import LlmAgent, LlmMemory
from workers.agents.nearest import nearest_first
from workers.agents.policed import PolicedAgent
from workers.agents.policies import CallPolicies, Policy, load_policies
from workers.agents.python import PythonAgent
from workers.agents.tools.knowledge import Found, Search
from workers.agents.tools.toolbox import flow_tools_of, tools_of

Catalogue = Mapping[str, ServedAgent]
"""Agents by their id."""


@dataclass(frozen=True, slots=True)
class AgentParts:
    """What agents are built over."""

    http: HttpAgents
    """Need not be open yet, and may be shared by the catalogues before and after a reload."""
    organization_id: str
    knowledge: Knowledge | None = None
    """None: nothing is found in any documents."""


def build_agents(
    config: settings.GatewayConfig, http: HttpAgents, knowledge: Knowledge | None = None
) -> Catalogue:
    """All agents of a configuration; SettingsError with every one that cannot be used."""
    parts = AgentParts(http, config.organization_id, knowledge)
    catalogue: dict[str, ServedAgent] = {}
    problems: list[str] = []
    for agent in config.agents.values():
        try:
            catalogue[agent.id] = build_agent(agent, parts)
        except settings.SettingsError as error:
            problems += [f"agents.{agent.slug}: {problem}" for problem in error.problems]
    if problems:
        raise settings.SettingsError(problems)
    return MappingProxyType(catalogue)


def build_agent(agent: AgentConfig, parts: AgentParts) -> ServedAgent:
    """One agent; SettingsError if it cannot be used."""
    definition = agent.definition
    return ServedAgent(
        _agent_of(definition, parts), _transfers_of(definition), _summarise_of(definition, parts)
    )


def _agent_of(definition: AgentDefinition, parts: AgentParts) -> Agent:
    agent = _unpoliced(definition, parts)
    on_input = load_policies(definition.policies, PolicyPoint.INPUT)
    on_reply = load_policies(definition.policies, PolicyPoint.REPLY)
    return PolicedAgent(agent, on_input, on_reply) if on_input or on_reply else agent


def _unpoliced(definition: AgentDefinition, parts: AgentParts) -> Agent:
    match definition:
        case settings.DemoAgent():
            return DemoAgent(tuple(definition.transfers))
        case settings.HttpAgent():
            return _knowing(HttpAgent(str(definition.url), parts.http), definition.knowledge, parts)
        case settings.PythonAgent():
            return _knowing(PythonAgent(definition.target), definition.knowledge, parts)
        case settings.FlowAgent():
            tools = flow_tools_of(definition, parts.http)
            return FlowAgent(definition, tools, chooser_of(definition, parts.http))
        case settings.LlmAgent():
            calls = load_policies(definition.policies, PolicyPoint.TOOL_CALL)
            tools = tools_of(definition, parts.http, _ranked(definition, parts))
            return LlmAgent(definition, tools, CallPolicies(calls), parts.http)
        case _:
            raise settings.SettingsError([f'kind = "{definition.kind}" arrives with a later version'])


def _knowing(agent: Agent, folders: Sequence[str], parts: AgentParts) -> Agent:
    """With passages of its documents, where it has some."""
    search = _search_of(folders, parts)
    return agent if search is None else KnowingAgent(agent, search)


def _ranked(definition: settings.LlmAgent, parts: AgentParts) -> Search | None:
    """The search of a model's documents, also by meaning where it is given embeddings."""
    search = _search_of(definition.knowledge, parts)
    if search is None or definition.embeddings is None:
        return search
    return nearest_first(search, definition, parts.http)


def _search_of(folders: Sequence[str], parts: AgentParts) -> Search | None:
    """How an agent's documents are searched; None where there are none."""
    knowledge = parts.knowledge
    if knowledge is None or not folders:
        return None

    async def search(question: str, limit: int) -> Found:
        return Found(await knowledge.search(parts.organization_id, folders, question, limit))

    return search


def _summarise_of(definition: AgentDefinition, parts: AgentParts) -> Summarise | None:
    """How the agent sums up, where its model does: what it may not read, or say, is redacted there, too."""
    if not isinstance(definition, settings.LlmAgent) or definition.memory is not MemorySource.MODEL:
        return None
    unread, unsaid = (_redacting(definition, point) for point in (PolicyPoint.INPUT, PolicyPoint.REPLY))
    return LlmMemory(definition, unread, unsaid, parts.http)


def _redacting(definition: AgentDefinition, point: PolicyPoint) -> Sequence[Policy]:
    policies = load_policies(definition.policies, point)
    return [policy for policy in policies if policy.config.action is PolicyAction.REDACT]


def _transfers_of(definition: AgentDefinition) -> Transfers:
    """Labels for all; raw destinations where the agent is code of the operator's own."""
    labels = {label: transfer.intent(label) for label, transfer in definition.transfers.items()}
    trusted = isinstance(definition, settings.HttpAgent | settings.PythonAgent)
    return Transfers(labels, raw=parse_destination if trusted else None)
