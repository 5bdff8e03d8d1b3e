"""How much of a reply a caller has heard when they interrupt it.

A host says it with a piece of the text, with a time, or not at all. What was heard is always a beginning of
what was sent, so an older reply is never touched.
"""

import re
from dataclasses import dataclass

from gateway.domain.clock import SECOND

CHARACTERS_PER_SECOND = 15
"""Of speech: about 150 English words a minute. Only used where a host names no text that we know."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The part of a reply that was heard."""

    text: str
    certain: bool
    """Whether the host named a piece of the reply; else `text` is an estimate."""


def heard(sent: str, piece: str | None, spoken_ms: int | None) -> Heard:
    """The beginning of `sent` up to the end of `piece`, a text of any spacing.

    Of several places the last counts, as a host reports the newest of what it has spoken. Where `piece` is
    not in `sent`, `spoken_ms` milliseconds of speech are assumed; without either, nothing was heard.
    """
    words = (piece or "").split()
    if words:
        found = list(re.finditer(r"\s+".join(re.escape(word) for word in words), sent))
        if found:
            return Heard(sent[: found[-1].end()], certain=True)
    elif piece is not None and not spoken_ms:
        return Heard("", certain=True)
    return Heard(_after(sent, max(0, spoken_ms or 0)), certain=False)


def speaking_time(text: str) -> int:
    """How long it takes to say a text, about, in µs."""
    return len(text) * SECOND // CHARACTERS_PER_SECOND


def _after(sent: str, spoken_ms: int) -> str:
    """Whole words only: half of one is not what anybody heard."""
    characters = spoken_ms * CHARACTERS_PER_SECOND // 1000
    if characters >= len(sent):
        return sent
    cut = sent[:characters]
    if not sent[characters].isspace():
        cut = cut[: len(cut) - len(re.split(r"\s", cut)[-1])]
    return cut.rstrip()
