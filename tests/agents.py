"""Agents in Python for gateway processes of the tests (`kind = "python"`)."""

import asyncio
import re
from collections.abc import AsyncIterator

from gateway.domain.agent import Delta, TurnRequest
from gateway.domain.message import Role

_WAIT = re.compile(r"\bwait ([0-9.]+)\b")


def _inputs(turn: TurnRequest) -> list[str]:
    wanted = set(turn.input)
    return [m.content for m in turn.messages if m.seq in wanted and m.role == Role.USER]


async def quote(turn: TurnRequest) -> AsyncIterator[Delta]:
    """Name every text that this turn answers, in order: `<one><two>`."""
    yield Delta(text="".join(f"<{text}>" for text in _inputs(turn)))


async def slow(turn: TurnRequest) -> AsyncIterator[Delta]:
    """The same, but begin with a first word and take the seconds that a text asks for (`wait 2`)."""
    yield Delta(text="Well: ")
    texts = _inputs(turn)
    await asyncio.sleep(sum(float(seconds) for text in texts for seconds in _WAIT.findall(text)))
    yield Delta(text="".join(f"<{text}>" for text in texts))
