"""The ends of jambonz calls while the database is away: tried until they are stored, in order."""

from collections.abc import Sequence
from functools import partial

import pytest

from channels.voice.jambonz import owed
from channels.voice.jambonz.owed import Owed
from gateway.domain.errors import Unavailable, UnknownAddress

KNOWN = ["first", "second", "end"]


class Database:
    """Away for so many tries, and then there."""

    def __init__(self, away: int, refuses: Sequence[str] = (), breaks: Sequence[str] = ()) -> None:
        """`breaks`: over what something of ours fails."""
        self.stored: list[str] = []
        self._away = away
        self._refuses = refuses
        self._breaks = breaks

    async def settle(self, *known: str) -> None:
        """What is known of one call."""
        await Owed().settle("call-1", [partial(self._take, one) for one in known])

    async def _take(self, known: str) -> None:
        self._away -= 1
        if self._away >= 0:
            raise Unavailable("away")
        if known in self._refuses:
            raise UnknownAddress("voice")
        if known in self._breaks:
            raise KeyError(known)
        self.stored.append(known)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time goes by between two tries."""
    monkeypatch.setattr(owed, "AGAIN_SECONDS", 0)
    monkeypatch.setattr(owed, "AT_ONCE_SECONDS", 60)


@pytest.mark.parametrize("away", [0, 1, 100])
async def test_what_happened_last_and_the_end_are_stored_in_order(away: int) -> None:
    database = Database(away)
    await database.settle(*KNOWN)
    assert database.stored == KNOWN


async def test_what_will_never_be_taken_holds_up_nothing() -> None:
    database = Database(3, refuses=KNOWN[:1], breaks=KNOWN[1:2])
    await database.settle(*KNOWN)
    assert database.stored == ["end"]


async def test_it_is_given_up_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owed, "TRIES", 5)
    database = Database(5)
    await database.settle("end")
    assert database.stored == []
    await database.settle("end")
    assert database.stored == ["end"]


async def test_there_are_no_more_than_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owed, "MAX_CALLS", 0)
    database = Database(0)
    await database.settle("end")
    assert database.stored == []
