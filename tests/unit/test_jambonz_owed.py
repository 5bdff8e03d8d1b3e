"""The ends of jambonz calls while the database is away: tried until they are stored, in order."""

from collections.abc import Sequence

import pytest

from channels.voice.jambonz import owed
from channels.voice.jambonz.owed import Owed
from channels.voice.parties import Parties
from gateway.domain.errors import Unavailable, UnknownAddress
from gateway.domain.message import Accepted, Channel, InboundMessage

CALL = Parties(provider="jambonz", sid="call-1", theirs="+14155550100", ours="+15550100", proven=True)
END = CALL.ended("completed", 0)
REPORTS = [CALL.outcome(f"{n}:dialed", None, {"state": "failed", "reason": "busy"}, 0) for n in range(2)]


class Database:
    """Away for so many tries, and then there."""

    def __init__(self, away: int, refuses: Sequence[InboundMessage] = ()) -> None:
        self.stored: list[InboundMessage] = []
        self._away = away
        self._refuses = refuses

    async def __call__(self, message: InboundMessage) -> Accepted:
        """Store what happened."""
        self._take(message)
        return Accepted(
            conversation_id="", message_id="", end_user_id="", duplicate=False, turn_expected=False
        )

    def serves(self, channel: Channel, address: str) -> bool:
        """All are ours."""
        return True

    async def end(self, message: InboundMessage) -> None:
        """Store that it is over."""
        self._take(message)

    def _take(self, message: InboundMessage) -> None:
        self._away -= 1
        if self._away >= 0:
            raise Unavailable("away")
        if message in self._refuses:
            raise UnknownAddress("voice")
        self.stored.append(message)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time goes by between two tries."""
    monkeypatch.setattr(owed, "AGAIN_SECONDS", 0)
    monkeypatch.setattr(owed, "AT_ONCE_SECONDS", 60)


@pytest.mark.parametrize("away", [0, 1, 100])
async def test_what_happened_last_and_the_end_are_stored_in_order(away: int) -> None:
    database = Database(away)
    await Owed(database, database).settle(REPORTS, END)
    assert database.stored == [*REPORTS, END]


async def test_what_will_never_be_taken_holds_up_nothing() -> None:
    database = Database(3, refuses=REPORTS)
    await Owed(database, database).settle(REPORTS, END)
    assert database.stored == [END]


async def test_it_is_given_up_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owed, "TRIES", 5)
    database = Database(5)
    await Owed(database, database).settle([], END)
    assert database.stored == []
    await Owed(database, database).settle([], END)
    assert database.stored == [END]


async def test_there_are_no_more_than_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owed, "MAX_CALLS", 0)
    database = Database(0)
    await Owed(database, database).settle([], END)
    assert database.stored == []
