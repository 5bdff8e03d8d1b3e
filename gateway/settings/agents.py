"""Agents as gateway.toml declares them: what kind each is, its policies and the transfers it may make."""

import hashlib
import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from gateway.domain.ids import named_id
from gateway.domain.steps import PolicyPoint
from gateway.settings.flow import ChoiceNode, Name, Nodes, ToolNode, TransferNode, of_type
from gateway.settings.flow_graph import check_graph
from gateway.settings.llm import (
    EmbeddingName,
    HttpToolTable,
    LimitsTable,
    McpServerTable,
    MemorySource,
    ModelName,
    ModelSettingsTable,
    ToolName,
)
from gateway.settings.policies import PolicyConfig
from gateway.settings.refusals import SettingsError, Table, dotted, nearest, read_table, shown
from gateway.settings.targets import Target
from gateway.settings.transfers import TransferConfig
from gateway.settings.values import Price, Text, WebUrl


class AgentKind(StrEnum):
    """Where an agent's answers come from."""

    DEMO = "demo"
    FLOW = "flow"
    HTTP = "http"
    LLM = "llm"
    PYTHON = "python"


class AgentDefinition(Table):
    """What every kind of agent may have."""

    kind: ClassVar[AgentKind]
    policies: Annotated[tuple[PolicyConfig, ...], Field(max_length=200)] = ()
    transfers: dict[Text, TransferConfig] = Field({}, max_length=200)
    input_price: Price = Field(0, exclude=True)
    """Of a million tokens, for the cap on spend; no part of what an agent is, its revision."""
    output_price: Price = Field(0, exclude=True)


class DemoAgent(AgentDefinition):
    """The deterministic agent that needs nothing."""

    kind = AgentKind.DEMO


Folders = Annotated[tuple[Text, ...], Field(max_length=200)]
"""Folders of documents, beside gateway.toml."""


class HttpAgent(AgentDefinition):
    """An agent behind a URL that speaks the agent protocol."""

    kind = AgentKind.HTTP
    url: WebUrl
    knowledge: Folders = ()


class PythonAgent(AgentDefinition):
    """An agent that is an async function of this installation."""

    kind = AgentKind.PYTHON
    target: Target
    knowledge: Folders = ()


class AgentWithTools(AgentDefinition):
    """An agent whose tools the gateway calls: Python functions, those behind URLs and of MCP servers."""

    tools: Annotated[tuple[Target, ...], Field(max_length=200)] = ()
    http_tools: dict[ToolName, HttpToolTable] = Field({}, max_length=100)
    mcp_servers: dict[Text, McpServerTable] = Field({}, max_length=20)


class LlmAgent(AgentWithTools):
    """An agent that is a language model with instructions, knowledge and tools."""

    kind = AgentKind.LLM
    model: ModelName
    fallback_model: ModelName | None = None
    """Asked where the first one does not answer."""
    base_url: WebUrl | None = None
    """Of a server that speaks OpenAI's chat completions; None: the provider's own."""
    model_settings: ModelSettingsTable = ModelSettingsTable()
    limits: LimitsTable = LimitsTable()
    instructions: Annotated[str, Field(max_length=200_000)] = ""
    knowledge: Folders = ()
    embeddings: EmbeddingName | None = None
    """By which passages of the documents are ranked besides their words."""
    embeddings_price: Price = Field(0, exclude=True)
    """Of a million tokens, as are the other prices."""
    memory: MemorySource = MemorySource.QUOTES


class FlowAgent(AgentWithTools):
    """An agent that is a declared graph: it says, asks, branches, calls tools and hands over."""

    kind = AgentKind.FLOW
    start: Name
    nodes: Nodes
    model: ModelName | None = None
    """Of nodes where a model chooses."""
    base_url: WebUrl | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        check_graph(self.start, self.nodes)
        names = {
            *(target.rpartition(":")[2] for target in self.tools),
            *self.http_tools,
            *(tool for server in self.mcp_servers.values() for tool in server.tools),
        }
        for name, tool in of_type(self.nodes, ToolNode):
            if tool.tool not in names:
                raise ValueError(f"nodes.{name}: no tool is called {tool.tool}; name it in tools")
        for name, transfer in of_type(self.nodes, TransferNode):
            if transfer.label not in self.transfers:
                raise ValueError(f"nodes.{name}: no transfer is called {transfer.label}")
        for name, _ in of_type(self.nodes, ChoiceNode):
            if self.model is None:
                raise ValueError(f"nodes.{name}: a choice needs a model")
        for policy in self.policies:
            if policy.point is PolicyPoint.TOOL_CALL:
                raise ValueError("policies: in a flow only input and reply have them, not tool calls")
        return self


_KINDS: dict[str, type[AgentDefinition]] = {
    model.kind.value: model for model in (DemoAgent, FlowAgent, HttpAgent, LlmAgent, PythonAgent)
}


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """An agent of an organisation.

    Its revision is the SHA-256 (hex) of its slug and all its settings, defaults included, as canonical JSON:
    equal settings give an equal revision, on any machine.
    """

    slug: str
    id: str
    revision_id: str
    definition: AgentDefinition

    @property
    def kind(self) -> AgentKind:
        """The kind of its definition."""
        return self.definition.kind

    @property
    def settings(self) -> str:
        """All its settings as canonical JSON, which `restore_agent` reads."""
        return _canonical(self.slug, self.definition)


def read_agent(slug: str, raw: object, organization_id: str, problems: list[str]) -> AgentConfig | None:
    """The agent of one `[agents.<slug>]` table; None after its problems were added to the list."""
    place = dotted("agents", slug)
    if not 1 <= len(slug) <= 128 or not slug.isprintable():
        problems.append(f"{place}: an agent's name must have 1 to 128 printable characters")
        return None
    if not isinstance(raw, dict):
        problems.append(f"{place}: must be a table, not {shown(raw)}")
        return None
    model = _model_of(raw.get("kind"), place, problems)
    fields = {key: value for key, value in raw.items() if key != "kind"}
    definition = read_table(model, fields, place, problems) if model else None
    if definition is None:
        return None
    revision_id = hashlib.sha256(_canonical(slug, definition).encode()).hexdigest()
    return AgentConfig(slug, named_id(organization_id, slug), revision_id, definition)


def restore_agent(settings: str, organization_id: str, revision_id: str) -> AgentConfig:
    """The agent of a stored revision. Raises SettingsError where this version cannot read it any more."""
    fields = json.loads(settings)
    problems: list[str] = []
    agent = read_agent(fields.pop("slug"), fields, organization_id, problems)
    if agent is None:
        raise SettingsError(problems)
    # the stored hash is its name, also where this version has come to know more settings
    return replace(agent, revision_id=revision_id)


def _canonical(slug: str, definition: AgentDefinition) -> str:
    settings = {"slug": slug, "kind": definition.kind.value, **definition.model_dump(mode="json")}
    return json.dumps(settings, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _model_of(kind: object, place: str, problems: list[str]) -> type[AgentDefinition] | None:
    known = ", ".join(sorted(_KINDS))
    if kind is None:
        problems.append(f"{place}.kind: missing; one of {known}")
    elif not isinstance(kind, str) or kind not in _KINDS:
        near = nearest(kind, _KINDS) if isinstance(kind, str) else None
        advice = f"nearest valid kind: {near}" if near else f"one of {known}"
        problems.append(f"{place}.kind: no such kind of agent: {shown(kind)}; {advice}")
    else:
        return _KINDS[kind]
    return None
