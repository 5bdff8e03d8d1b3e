"""A flow as a Mermaid flowchart (https://mermaid.js.org/syntax/flowchart.html)."""

from collections.abc import Iterator

from gateway.settings import FlowAgent
from gateway.settings.flow import (
    ENDS,
    WAITS,
    BranchNode,
    ChoiceNode,
    FlowNode,
    HandoffNode,
    ToolNode,
    TransferNode,
)

MAX_LABEL = 60
"""Characters of a text that are shown."""


def mermaid(flow: FlowAgent) -> str:
    """The whole graph; nodes that wait have round corners, those that end are ovals, choices are diamonds."""
    return "\n".join(_lines(flow))


def _lines(flow: FlowAgent) -> Iterator[str]:
    yield "flowchart TD"
    yield f"    begin_(( )) --> n_{flow.start}"
    for name, node in flow.nodes.items():
        opening, closing = _shape(node)
        shown = f'{opening}"{_quoted(name)}: {_quoted(_about(node))}"{closing}'
        yield f"    n_{name}{shown}"
    for name, node in flow.nodes.items():
        for what, following in node.ways():
            arrow = f'-->|"{_quoted(what)}"|' if what else "-->"
            yield f"    n_{name} {arrow} n_{following}"


def _shape(node: FlowNode) -> tuple[str, str]:
    if node.type in WAITS:
        return "(", ")"
    if node.type in ENDS:
        return "([", "])"
    return ("{", "}") if isinstance(node, BranchNode | ChoiceNode) else ("[", "]")


def _about(node: FlowNode) -> str:
    match node:
        case BranchNode():
            return f"branch on {node.on}"
        case ToolNode():
            return f"call {node.tool}"
        case TransferNode():
            return f"transfer to {node.label}"
        case HandoffNode():
            return f"hand over, {node.reason}"
        case ChoiceNode():
            return f"choose, {node.question}"
    return f"{node.type} {getattr(node, 'text', None) or ''}".strip()


def _quoted(text: str) -> str:
    """In one line, in Mermaid's entities (https://mermaid.js.org/syntax/flowchart.html#entity-codes-to-escape-characters)."""
    line = " ".join(text.split())
    cut = line if len(line) <= MAX_LABEL else line[: MAX_LABEL - 1] + "…"
    return "".join(c if c.isalnum() or c in " ,.?!:;_…-" else f"#{ord(c)};" for c in cut)
