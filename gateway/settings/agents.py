"""Agents as gateway.toml declares them: what kind each is, its policies and the transfers it may make."""

import hashlib
import json
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from gateway.domain.ids import named_id
from gateway.domain.intent import TransferMode
from gateway.settings.addresses import parse_destination
from gateway.settings.refusals import SettingsError, Table, dotted, nearest, read_table, shown
from gateway.settings.values import Number, Price, Text, WebUrl

_TARGET = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*")


class AgentKind(StrEnum):
    """Where an agent's answers come from."""

    DEMO = "demo"
    HTTP = "http"
    LLM = "llm"
    PYTHON = "python"


class PolicyAction(StrEnum):
    """What a policy does with a tool call."""

    REQUIRE_APPROVAL = "require_approval"
    BLOCK = "block"


class OnReject(StrEnum):
    """What becomes of the conversation when an approval is refused or times out."""

    CLOSE = "close"
    CONTINUE = "continue"


def parse_target(value: object) -> str:
    """A Python function, `package.module:function`."""
    if not isinstance(value, str) or not _TARGET.fullmatch(value):
        raise ValueError("must be package.module:function")
    return value


Target = Annotated[str, BeforeValidator(parse_target)]
Destination = Annotated[str, BeforeValidator(parse_destination)]


class PolicyConfig(Table):
    """A hold on one tool's calls. Texts that are None are the gateway's own."""

    tool: Text
    action: PolicyAction
    approver_role: Text | None = None
    timeout_hours: Annotated[float, Number, Field(gt=0, le=8760)] = 24
    suspend_message: Text | None = None
    safe_message: Text | None = None
    on_reject: OnReject = OnReject.CLOSE


class TransferConfig(Table):
    """Where a call may be transferred to, under a label that the agent knows.

    A destination is an E.164 number or a sip: URI; a warm transfer tries `warm_destinations` in order.
    """

    destination: Destination
    mode: TransferMode = TransferMode.COLD
    warm_destinations: Annotated[tuple[Destination, ...], Field(max_length=20)] = ()


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


class HttpAgent(AgentDefinition):
    """An agent behind a URL that speaks the agent protocol."""

    kind = AgentKind.HTTP
    url: WebUrl


class PythonAgent(AgentDefinition):
    """An agent that is an async function of this installation."""

    kind = AgentKind.PYTHON
    target: Target


class LlmAgent(AgentDefinition):
    """An agent that is a language model with instructions, knowledge and tools."""

    kind = AgentKind.LLM
    model: Text
    instructions: Annotated[str, Field(max_length=200_000)] = ""
    knowledge: Annotated[tuple[Text, ...], Field(max_length=200)] = ()
    tools: Annotated[tuple[Target, ...], Field(max_length=200)] = ()


_KINDS: dict[str, type[AgentDefinition]] = {
    model.kind.value: model for model in (DemoAgent, HttpAgent, LlmAgent, PythonAgent)
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
