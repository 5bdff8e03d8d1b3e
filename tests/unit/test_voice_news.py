"""What a person says in a call beside its session's turns: nothing is left out, nothing comes twice."""

from typing import cast

from channels.voice.news import Missed, missed, newest_said
from gateway.domain.conversation import Status
from gateway.domain.errors import Unavailable
from gateway.domain.message import Author, Message, Role
from gateway.domain.ports.dialogue import CallNews, Dialogue
from gateway.domain.turn import Path
from tests.turns import outcome

PAGE = 2


class Transcript:
    """What was said, of which a look sees only so much; the `Dialogue` of a call."""

    def __init__(self, *said: tuple[int, str | None]) -> None:
        """`seq` and turn of each message."""
        self.said = [message(seq, turn_id) for seq, turn_id in said]
        self.looks = 0
        self.away = False

    async def news(self, conversation_id: str, since: int) -> CallNews:
        """A page of it."""
        if self.away:
            raise Unavailable("away")
        self.looks += 1
        return CallNews(Status.ACTIVE, tuple([m for m in self.said if m.seq > since][:PAGE]))

    @property
    def dialogue(self) -> Dialogue:
        """Of which only the news are asked for."""
        return cast(Dialogue, self)


def message(seq: int, turn_id: str | None) -> Message:
    """What somebody said to the caller."""
    return Message(
        id=f"m{seq}",
        conversation_id="c",
        seq=seq,
        turn_id=turn_id,
        role=Role.ASSISTANT,
        content=f"words {seq}",
        author=Author.AGENT,
        created_at=0,
    )


async def test_the_newest_of_many_pages() -> None:
    assert await newest_said(Transcript().dialogue, "c") == -1
    said = Transcript(*((seq, None) for seq in range(0, 14, 2)))
    assert await newest_said(said.dialogue, "c") == 12


async def test_what_a_person_said_before_a_turns_reply_was_missed() -> None:
    said = Transcript((2, None), (4, "t"))
    turn = outcome("words 4", seqs=(3, 4))
    assert await missed(said.dialogue, turn, 1) == Missed(4, (message(2, None),))


async def test_nothing_is_asked_where_nothing_can_have_been_said() -> None:
    said = Transcript((3, "t"))
    assert await missed(said.dialogue, outcome(seqs=(2, 3)), 1) == Missed(3)
    assert await missed(said.dialogue, outcome(seqs=(2, 3)), 3) == Missed(3)
    assert said.looks == 0


async def test_an_input_that_waits_for_a_person_leaves_their_words_to_come() -> None:
    """They may have been written a moment before it."""
    said = Transcript((2, None))
    waiting = outcome(path=Path.QUEUED, seqs=(3,))
    assert await missed(said.dialogue, waiting, 1) == Missed(1)


async def test_while_the_database_is_away_a_turn_is_not_told_of_twice() -> None:
    said = Transcript((2, None), (4, "t"))
    said.away = True
    assert await missed(said.dialogue, outcome(seqs=(3, 4)), 1) == Missed(4)
