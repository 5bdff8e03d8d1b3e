"""The agent of the benchmarks: it takes no time, and its reply names the messages that it answers."""

from collections.abc import AsyncIterator

from gateway.domain.agent import Delta, TurnRequest
from gateway.domain.message import Role


async def name_them(turn: TurnRequest) -> AsyncIterator[Delta]:
    """Reply with the texts of the turn's input, which are the names of the messages."""
    wanted = set(turn.input)
    texts = [m.content for m in turn.messages if m.seq in wanted and m.role == Role.USER]
    yield Delta(text=" ".join(texts))
