"""What of a conversation a model reads again each turn: the newest messages within a budget of tokens.

What is older is folded into a digest now and then, some messages at once: so a turn costs the same in a
conversation of two thousand messages as in one of fifty. Pure.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.agent import HistoryMessage, TurnRequest
from gateway.domain.message import Channel, Role
from workers.agents.llm.cut import cut, tokens_of

MAX_MESSAGE = 12_000
"""Characters of one message that a model reads."""
MAX_INPUT = 48_000
"""Characters of all that a turn answers, shared out among its messages."""
MOST_MESSAGES = 40
"""Messages after the digest from which on the older half is folded into it."""
KEPT_MESSAGES = 20
"""Messages that stay as they are then."""
MAX_DIGEST = 2_000
"""Characters of a digest."""

_OURS = re.compile(r"\[\s*gateway\s*:", re.IGNORECASE)
_QUOTED = re.compile(r"(?:^[ \t]*>[^\n]*(?:\n|$))+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Line:
    """A message as a model reads it."""

    by_user: bool
    text: str


@dataclass(frozen=True, slots=True)
class Fold:
    """Messages that are to go into the digest, and what is in it so far."""

    before: str
    lines: tuple[Line, ...]
    up_to: int


@dataclass(frozen=True, slots=True)
class Window:
    """What this turn reads, and what is to be folded for the next ones."""

    lines: tuple[Line, ...]
    fold: Fold | None


def window_of(turn: TurnRequest, budget: int) -> Window:
    """The messages of a turn within `budget` tokens; its own input is always among them."""
    digest = str((turn.digest or {}).get("text", ""))
    known = int((turn.digest or {}).get("up_to", -1))
    messages = [m for m in turn.messages if m.seq > known]
    first_input = min(turn.input, default=messages[-1].seq if messages else 0)
    earlier = [m for m in messages if m.seq < first_input]
    asked = [m for m in messages if m.seq >= first_input]
    most = min(MAX_MESSAGE, max(500, MAX_INPUT // max(1, len(asked))))
    lines = {m.seq: _line(m, turn.channel, most) for m in messages}
    kept = _newest(earlier, lines, budget)
    missing = not digest and (turn.truncated or len(kept) < len(earlier))
    head = _head(digest, missing=missing or (bool(earlier) and len(kept) < len(earlier)))
    return Window(
        (*head, *(lines[m.seq] for m in (*kept, *asked))), _fold(earlier, kept, lines, digest, budget)
    )


def _head(digest: str, *, missing: bool) -> tuple[Line, ...]:
    if digest:
        return (Line(True, f"[gateway: summary of the conversation so far: {cut(digest, MAX_DIGEST)}]"),)
    return (Line(True, "[gateway: earlier messages are left out]"),) if missing else ()


def _newest(
    messages: Sequence[HistoryMessage], lines: dict[int, Line], budget: int
) -> Sequence[HistoryMessage]:
    """As many of the newest as fit."""
    left = budget
    for place in range(len(messages) - 1, -1, -1):
        left -= tokens_of(lines[messages[place].seq].text)
        if left < 0:
            return messages[place + 1 :]
    return messages


def _fold(
    earlier: Sequence[HistoryMessage],
    kept: Sequence[HistoryMessage],
    lines: dict[int, Line],
    digest: str,
    budget: int,
) -> Fold | None:
    """The older half, once there is too much to read each time."""
    if len(earlier) < MOST_MESSAGES and len(kept) == len(earlier):
        return None
    stays = _newest(earlier[-KEPT_MESSAGES:], lines, budget // 2)
    folded = earlier[: len(earlier) - len(stays)]
    return Fold(digest, tuple(lines[m.seq] for m in folded), folded[-1].seq) if folded else None


def _line(message: HistoryMessage, channel: str, most: int) -> Line:
    text = message.content
    if message.role == Role.USER:
        text = _OURS.sub("(gateway:", text)  # only we write notices
    if channel == Channel.EMAIL and message.role == Role.USER:
        text = _QUOTED.sub(lambda quote: f"<quoted-mail>\n{quote[0].rstrip()}\n</quoted-mail>\n", text)
    text = cut(text, most)
    files = ", ".join(f"{a.name or 'file'} ({a.media_type})" for a in message.attachments)
    if files:
        text = f"{text}\n[gateway: attached: {cut(files, 500)}]".strip()
    if message.role in (Role.SYSTEM, Role.SYSTEM_EVENT):
        return Line(True, f"[gateway: {text}]")
    return Line(message.role != Role.ASSISTANT, text)
