"""Utterances of a call, in the order of their pieces, each piece once (contract/queues.md, `say`)."""

import asyncio
from dataclasses import dataclass, field

from gateway.domain.intent_payloads import SayPayload

MAX_WAITING = 1_000
"""Pieces that are ahead of what is spoken; more are dropped."""


class Piece(SayPayload):
    """A piece of an utterance; `intent_id` names it."""

    intent_id: str


@dataclass(slots=True)
class _Utterance:
    due: int = 0
    """The piece that comes next."""
    spoken: str = ""
    waiting: dict[int, Piece] = field(default_factory=dict)
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Utterances:
    """What of each utterance comes next."""

    _known: dict[str, _Utterance] = field(default_factory=dict)
    _waiting: int = 0

    def add(self, piece: Piece) -> list[Piece]:
        """The pieces that can be spoken now; none where one before is missing, or this one is known."""
        utterance = self._known.setdefault(piece.utterance_id, _Utterance())
        if piece.n < utterance.due or utterance.over.is_set():
            return []
        if piece.n > utterance.due and piece.final and piece.whole is not None:
            piece = piece.model_copy(update={"text": piece.whole[len(utterance.spoken) :]})
            utterance.due = piece.n
        elif piece.n > utterance.due and self._waiting >= MAX_WAITING:
            return []
        if piece.n not in utterance.waiting:
            utterance.waiting[piece.n] = piece
            self._waiting += 1
        return self._ready(utterance)

    def _ready(self, utterance: _Utterance) -> list[Piece]:
        ready: list[Piece] = []
        while (found := utterance.waiting.pop(utterance.due, None)) is not None:
            self._waiting -= 1
            ready.append(found)
            utterance.spoken += found.text
            utterance.due += 1
            if found.final:
                self._waiting -= len(utterance.waiting)
                utterance.waiting.clear()
                utterance.over.set()
        return ready

    async def finished(self, utterance_id: str) -> None:
        """Return when the last piece of an utterance has been spoken."""
        await self._known.setdefault(utterance_id, _Utterance()).over.wait()
