"""The conversation as a model reads it: whoever spoke several times in a row becomes one message."""

from collections.abc import Sequence
from itertools import groupby

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart

from workers.agents.llm.history import Line

_BEGAN = Line(True, "[gateway: the conversation began earlier]")


def messages_of(lines: Sequence[Line]) -> list[ModelMessage]:
    """A conversation that begins and ends with the user, as every provider wants it."""
    first = () if lines and lines[0].by_user else (_BEGAN,)
    last = () if lines and lines[-1].by_user else (Line(True, "[gateway: it is your turn]"),)
    found: list[ModelMessage] = []
    for by_user, group in groupby((*first, *lines, *last), key=lambda line: line.by_user):
        text = "\n\n".join(line.text for line in group)
        if by_user:
            found.append(ModelRequest(parts=[UserPromptPart(text or "[gateway: a message without text]")]))
        elif text:
            found.append(ModelResponse(parts=[TextPart(text)]))
    return found
