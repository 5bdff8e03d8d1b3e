"""Utterances of a call, in the order of their pieces, each piece once (contract/queues.md, `say`)."""

from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

MAX_WAITING = 1_000
"""Pieces that are ahead of what is spoken; more are dropped."""


class Piece(BaseModel):
    """A piece of an utterance; `intent_id` names it."""

    model_config = ConfigDict(frozen=True)

    utterance_id: str = Field(max_length=255)
    n: int = Field(ge=0)
    text: str
    final: bool
    intent_id: str


@dataclass(slots=True)
class Utterances:
    """What of each utterance comes next."""

    _next: dict[str, int] = field(default_factory=dict)
    _waiting: dict[tuple[str, int], Piece] = field(default_factory=dict)

    def add(self, piece: Piece) -> list[Piece]:
        """The pieces that can be spoken now; none where one before is missing, or this one is known."""
        due = self._next.get(piece.utterance_id, 0)
        if piece.n < due or len(self._waiting) >= MAX_WAITING:
            return []
        self._waiting[piece.utterance_id, piece.n] = piece
        ready: list[Piece] = []
        while (found := self._waiting.pop((piece.utterance_id, due), None)) is not None:
            ready.append(found)
            due += 1
        self._next[piece.utterance_id] = due
        return ready
