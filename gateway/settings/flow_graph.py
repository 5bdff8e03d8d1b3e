"""What makes the graph of a workflow agent whole: every way leads somewhere, and none goes round for ever."""

from collections.abc import Container, Iterator, Mapping

from gateway.settings.flow import ENDS, WAITS, FlowNode
from gateway.settings.refusals import nearest, shown


def check_graph(start: str, nodes: Mapping[str, FlowNode]) -> None:
    """Raise ValueError with the first thing that keeps a flow from being whole."""
    _known(start, "start", nodes)
    for name, node in nodes.items():
        for what, following in node.ways():
            _known(following, f"nodes.{name}" + (f" ({what})" if what else ""), nodes)
    reached = _reached(start, nodes)
    lost = [name for name in nodes if name not in reached]
    if lost:
        raise ValueError(f"nodes.{lost[0]}: nothing leads there from {start}")
    circle = _circle(nodes)
    if circle:
        raise ValueError(
            f"nodes.{circle[0]}: a dead end: {' → '.join(circle)} goes round without ever asking or ending"
        )


def _known(name: str, place: str, nodes: Mapping[str, FlowNode]) -> None:
    if name not in nodes:
        near = nearest(name, nodes)
        raise ValueError(f"{place}: there is no node {shown(name)}" + (f"; nearest: {near}" if near else ""))


def _reached(start: str, nodes: Mapping[str, FlowNode]) -> set[str]:
    reached, ahead = {start}, [start]
    while ahead:
        for _, following in nodes[ahead.pop()].ways():
            if following not in reached:
                reached.add(following)
                ahead.append(following)
    return reached


def _circle(nodes: Mapping[str, FlowNode]) -> list[str]:
    """A way round through nodes of which none waits; empty where there is none."""
    passing = dict.fromkeys(name for name, node in nodes.items() if node.type not in WAITS | ENDS)
    done: set[str] = set()
    for first in passing:
        path = [first]
        ways = [_onward(first, nodes, passing)]
        while path and first not in done:
            following = next(ways[-1], None)
            if following is None:
                done.add(path.pop())
                ways.pop()
            elif following in path:
                return [*path[path.index(following) :], following]
            elif following not in done:
                path.append(following)
                ways.append(_onward(following, nodes, passing))
    return []


def _onward(name: str, nodes: Mapping[str, FlowNode], passing: Container[str]) -> Iterator[str]:
    return (following for _, following in nodes[name].ways() if following in passing)
