"""What is said in a call outside of its session's own turns, by a person above all: each of it once."""

from channels.voice.playback import Playback
from gateway.domain.errors import GatewayError
from gateway.domain.ports.dialogue import Dialogue
from gateway.domain.turn import Path, TurnOutcome


async def newest_said(dialogue: Dialogue, conversation_id: str) -> int:
    """The `seq` of the newest message that was said, or -1. Raises GatewayError."""
    newest = -1
    while said := (await dialogue.news(conversation_id, newest)).said:
        newest = said[-1].seq
    return newest


async def passed(
    dialogue: Dialogue, outcome: TurnOutcome, since: int, playback: Playback, lang: str | None
) -> int:
    """The newest message that was heard, when a turn has been: a person's words before it are said now.

    `since`: the newest one before. What only waits for a turn was no word of ours.
    """
    newest = max(outcome.message_seqs, default=-1)
    if outcome.path is Path.QUEUED or newest <= since:
        return since
    if sum(seq > since for seq in outcome.message_seqs) < newest - since:
        try:
            said = (await dialogue.news(outcome.conversation_id, since)).said
        except GatewayError:
            return newest  # looked for later, they would come with the turn's own words again
        for message in said:
            if message.turn_id is None and message.seq < newest:
                await playback.line(message.content, lang=lang)
    return newest
