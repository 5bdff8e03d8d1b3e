"""What is said in a call outside of its session's own turns, by a person above all: each of it once."""

from dataclasses import dataclass

from gateway.domain.errors import GatewayError
from gateway.domain.message import Message
from gateway.domain.ports.dialogue import Dialogue
from gateway.domain.turn import Path, TurnOutcome


async def newest_said(dialogue: Dialogue, conversation_id: str) -> int:
    """The `seq` of the newest message that was said, or -1. Raises GatewayError."""
    newest = -1
    while said := (await dialogue.news(conversation_id, newest)).said:
        newest = said[-1].seq
    return newest


@dataclass(frozen=True, slots=True)
class Missed:
    """What a caller had not heard when a turn was over."""

    newest: int
    """The `seq` of the newest message that was heard, once `messages` are said."""
    messages: tuple[Message, ...] = ()
    """A person's, from before the turn's own."""


async def missed(dialogue: Dialogue, outcome: TurnOutcome, since: int) -> Missed:
    """What a person has said before the words of this turn, which were heard.

    `since`: the newest message that was heard before. What only waits for a turn was no word of ours.
    """
    newest = max(outcome.message_seqs, default=-1)
    if outcome.path is Path.QUEUED or newest <= since:
        return Missed(since)
    if sum(seq > since for seq in outcome.message_seqs) == newest - since:
        return Missed(newest)
    try:
        said = (await dialogue.news(outcome.conversation_id, since)).said
    except GatewayError:
        said = ()  # looked for later, they would come with the turn's own words again
    return Missed(newest, tuple(one for one in said if one.turn_id is None and one.seq < newest))
