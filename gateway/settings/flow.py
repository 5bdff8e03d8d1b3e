"""The nodes of a workflow agent (`kind = "flow"`), as declared.

A turn goes from node to node until one waits for the end user or gives the conversation away.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, TypeVar

import regex
from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny

from gateway.settings.policies import Pattern
from gateway.settings.refusals import Table, read_table, shown
from gateway.settings.values import Number

MAX_NODES = 500
WAITS = frozenset({"ask", "digits"})
"""Nodes after which the end user's next input is awaited."""
ENDS = frozenset({"handoff", "transfer", "end"})
"""Nodes that give the conversation away, or close it."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
INPUT = "text"
"""The variable that holds what the end user wrote last."""


def parse_name(value: str) -> str:
    """A name of a node, a variable or a choice."""
    if not _NAME.fullmatch(value):
        raise ValueError("must be a name: letters, digits and _, at most 64")
    return value


def parse_tool(value: str) -> str:
    """A tool's name, which may have hyphens."""
    parse_name(value.replace("-", "_"))
    return value


Name = Annotated[str, AfterValidator(parse_name)]
Said = Annotated[str, Field(min_length=1, max_length=4_000)]
"""What is said; `{name}` stands for a variable."""


class FlowNode(Table):
    """A step of a flow."""

    type: str

    def ways(self) -> Iterator[tuple[str, str]]:
        """Where it may lead: (what for, the next node)."""
        return iter(())


NodeT = TypeVar("NodeT", bound=FlowNode)


class _Going(FlowNode):
    """A step that is always followed by the same."""

    next: Name

    def ways(self) -> Iterator[tuple[str, str]]:
        """The one."""
        yield "", self.next


class SayNode(_Going):
    """Says something."""

    type: Literal["say"] = "say"
    text: Said


class AskNode(_Going):
    """Says something and waits; the next input is kept in a variable."""

    type: Literal["ask"] = "ask"
    text: Said
    save: Name = INPUT


class DigitsNode(_Going):
    """The same, with keys to press on a phone call."""

    type: Literal["digits"] = "digits"
    text: Said
    save: Name = INPUT
    max_digits: Annotated[int, Number, Field(ge=1, le=50)] | None = None
    termination_digit: Literal["#", "*", ""] | None = None


class CaseTable(Table):
    """What a value must be for a way to be taken; exactly one of the three."""

    equals: str | None = Field(default=None, max_length=1_000)
    contains: str | None = Field(default=None, max_length=1_000)
    matches: Pattern | None = None
    """A regular expression that is found in it."""
    next: Name

    def fits(self, value: str) -> bool:
        """Whether the way is taken; upper and lower case are the same. Raises TimeoutError."""
        if self.equals is not None:
            return value.strip().casefold() == self.equals.strip().casefold()
        if self.contains is not None:
            return self.contains.casefold() in value.casefold()
        return regex.search(self.matches or "", value, regex.IGNORECASE, timeout=0.5) is not None

    @property
    def title(self) -> str:
        """What it asks for, short."""
        return self.equals or self.contains or self.matches or ""


def _one_test(case: CaseTable) -> CaseTable:
    if [case.equals, case.contains, case.matches].count(None) != 2:
        raise ValueError("must have one of equals, contains, matches")
    return case


Case = Annotated[CaseTable, AfterValidator(_one_test)]


class BranchNode(FlowNode):
    """Goes on by a variable: the first case that fits, else `otherwise`."""

    type: Literal["branch"] = "branch"
    on: Name = INPUT
    cases: Annotated[tuple[Case, ...], Field(min_length=1, max_length=50)]
    otherwise: Name

    def ways(self) -> Iterator[tuple[str, str]]:
        """Each case, and the rest."""
        for case in self.cases:
            yield case.title, case.next
        yield "otherwise", self.otherwise


class OptionTable(Table):
    """One of what a model may choose."""

    about: Said
    """When it is the right one, in words."""
    next: Name


class ChoiceNode(FlowNode):
    """Has the model choose by what was said last; what is none of the options goes on with `otherwise`."""

    type: Literal["choice"] = "choice"
    question: Said = "What does the user want?"
    options: dict[Name, OptionTable] = Field(min_length=1, max_length=20)
    otherwise: Name

    def ways(self) -> Iterator[tuple[str, str]]:
        """Each option, and the rest."""
        for name, option in self.options.items():
            yield name, option.next
        yield "otherwise", self.otherwise


class ToolNode(_Going):
    """Calls a tool; its result is kept in a variable."""

    type: Literal["tool"] = "tool"
    tool: Annotated[str, AfterValidator(parse_tool)]
    arguments: dict[Name, str | int | float | bool] = Field({}, max_length=50)
    """Texts may hold variables."""
    save: Name | None = None
    on_error: Name

    def ways(self) -> Iterator[tuple[str, str]]:
        """Done, or not."""
        yield "", self.next
        yield "error", self.on_error


class HandoffNode(FlowNode):
    """Gives the conversation to a person; when control returns it goes on with `next`, else at the start."""

    type: Literal["handoff"] = "handoff"
    reason: Said
    text: Said | None = None
    next: Name | None = None

    def ways(self) -> Iterator[tuple[str, str]]:
        """Back from the person."""
        if self.next is not None:
            yield "returned", self.next


class TransferNode(FlowNode):
    """Transfers the call; where there is none, it is a handoff."""

    type: Literal["transfer"] = "transfer"
    label: Annotated[str, Field(min_length=1, max_length=100)]
    text: Said | None = None


class EndNode(FlowNode):
    """Closes the conversation."""

    type: Literal["end"] = "end"
    text: Said | None = None
    reason: Said | None = None


_NODES: Mapping[str, type[FlowNode]] = {
    "say": SayNode,
    "ask": AskNode,
    "digits": DigitsNode,
    "branch": BranchNode,
    "choice": ChoiceNode,
    "tool": ToolNode,
    "handoff": HandoffNode,
    "transfer": TransferNode,
    "end": EndNode,
}


def parse_node(value: object) -> FlowNode:
    """A node by its type; ValueError with the first thing that is wrong."""
    if isinstance(value, FlowNode):
        return value
    if not isinstance(value, dict):
        raise ValueError("must be a table")
    kind = value.get("type")
    model = _NODES.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise ValueError(f"type: must be one of {', '.join(_NODES)}, not {shown(kind)}")
    problems: list[str] = []
    node = read_table(model, value, "", problems)
    if node is None:
        raise ValueError(problems[0])
    return node


Node = Annotated[SerializeAsAny[FlowNode], BeforeValidator(parse_node)]
Nodes = Annotated[dict[Name, Node], Field(min_length=1, max_length=MAX_NODES)]


def of_type(nodes: Mapping[str, FlowNode], kind: type[NodeT]) -> Iterator[tuple[str, NodeT]]:
    """The nodes of a type, with their names."""
    return ((name, node) for name, node in nodes.items() if isinstance(node, kind))
