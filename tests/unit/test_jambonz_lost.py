"""Who looks after a call of jambonz's whose connection is gone does nothing to one that others have."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from channels.voice.jambonz import lost
from channels.voice.jambonz.legs import SharedDials
from channels.voice.jambonz.lost import WAITS, LostCall, LostCalls
from channels.voice.jambonz.rest import ListedCall
from gateway.domain.clock import Clock
from gateway.domain.delivery import OutcomeUnknown
from gateway.domain.errors import Unavailable
from gateway.domain.message import InboundMessage
from tests.waiting import PATIENCE, until

UP, OVER = "in-progress", "completed"


def listed(status: str, call_sid: str = "call-1", **more: str) -> ListedCall:
    """A call as jambonz has it."""
    ends = {"from": "+14155550100", "to": "+15550100", "direction": "inbound"}
    return ListedCall.model_validate({"call_sid": call_sid, "call_status": status, **ends, **more})


class Jambonz:
    """Ingress, database and jambonz: a call that ends after so many looks, unless it is told to."""

    def __init__(self, up: int) -> None:
        self.told: list[str] = []
        self.happened: list[str] = []
        self.elsewhere = False
        """Another process has the call."""
        self.comes_back = False
        """Another process has it once jambonz has said whom it calls."""
        self.away_at_end = False
        """The database is away when the end is to be recorded."""
        self.away = 0
        """So often the database is."""
        self.called: Sequence[ListedCall] | OutcomeUnknown = ()
        self.left: Sequence[ListedCall] | OutcomeUnknown = ()
        """Calls that are under way."""
        self.asked = 0
        """For these."""
        self.connected: list[str] = []
        self.ended: list[InboundMessage] = []
        self.clock = Clock()
        self.public_url, self.connections, self.dialogue = "https://gateway.test", self, self
        self._up = up
        self._number = 3

    async def fetched(self, _sid: str) -> ListedCall | OutcomeUnknown | None:
        """How the call stands."""
        self._up -= 1
        return listed(UP) if self._up >= 0 else None

    async def under_way(self) -> Sequence[ListedCall] | OutcomeUnknown:
        """What it says of that."""
        return self.left

    async def connect(self, _provider: str, call_id: str) -> int | None:
        """The database."""
        self.connected.append(call_id)
        return None if call_id == "unknown" else self._number

    async def end(self, message: InboundMessage) -> None:
        """A call is over."""
        self.ended.append(message)

    async def dialled(self) -> Sequence[ListedCall] | OutcomeUnknown:
        """Whom it has called."""
        self.asked += 1
        self.elsewhere = self.elsewhere or self.comes_back
        return self.called

    async def change(self, _sid: str, change: dict[str, Any], _timeout: float) -> None:
        """It is told something."""
        [(kind, what)] = change.items()
        self.told.append(what if isinstance(what, str) else str(what["url"]))
        assert kind in ("call_hook", "call_status")

    async def close(self) -> None:
        """Its connections."""

    async def take(self, _provider: str, _call_id: str, number: int) -> int | None:
        """The database."""
        self.away -= 1
        if self.away >= 0:
            raise Unavailable("away")
        if self.elsewhere or number != self._number:
            return None
        self._number += 1
        return self._number

    async def lose(self, *, account: bool = True) -> None:
        """The connection is gone; until nothing more is to be done."""
        ports = cast(Any, self)
        calls = LostCalls(ports, ports if account else None, "jambonz:a-password")
        calls.watch(LostCall("call-1", 3, self._gone, self._joined))
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(task for _, task in calls._watched.values()))
        assert calls._watched == {}
        await calls.close()

    async def _gone(self, status: str) -> None:
        if self.away_at_end:
            self.away_at_end = False
            raise Unavailable("away")
        self.happened.append(status)

    async def _joined(self) -> None:
        self.happened.append("joined")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time goes by between two looks."""
    monkeypatch.setattr(lost, "LOOK_SECONDS", 0)


async def test_what_a_call_in_silence_is_told_one_after_the_other() -> None:
    jambonz = Jambonz(up=WAITS + 5)
    await jambonz.lose()
    assert jambonz.told == ["/back", "https://gateway.test/webhooks/jambonz/lost", *[OVER] * 3]
    assert jambonz.happened == [OVER]


async def test_one_that_is_back_while_jambonz_is_asked_is_told_nothing() -> None:
    """The answer may take its time; another process has the call by then."""
    jambonz = Jambonz(up=100)
    jambonz.comes_back = True
    await jambonz.lose()
    assert (jambonz.asked, jambonz.told) == (1, [])


async def test_one_that_another_process_has_is_told_nothing() -> None:
    jambonz = Jambonz(up=100)
    jambonz.elsewhere = True
    await jambonz.lose()
    assert (jambonz.told, jambonz.happened) == ([], [])


async def test_its_end_is_told_by_who_has_it() -> None:
    jambonz = Jambonz(up=0)
    jambonz.elsewhere = True
    await jambonz.lose()
    assert jambonz.happened == []


async def test_while_the_database_is_away_nothing_is_done_and_nothing_lost() -> None:
    """Another process might have it."""
    jambonz = Jambonz(up=20)
    jambonz.away = 30
    await jambonz.lose()
    assert (jambonz.told, jambonz.happened) == ([], [OVER])


async def test_an_end_that_could_not_be_recorded_is_recorded_later() -> None:
    jambonz = Jambonz(up=0)
    jambonz.away_at_end = True
    await jambonz.lose()
    assert jambonz.happened == [OVER]


async def test_a_connection_that_is_known_to_be_gone_late_changes_nothing() -> None:
    """The one after it was lost before that was known."""
    jambonz = Jambonz(up=0)
    ports = cast(Any, jambonz)
    calls = LostCalls(ports, ports, "jambonz:a-password")
    for number in (3, 2):
        calls.watch(LostCall("call-1", number, jambonz._gone, jambonz._joined))
    await until(lambda: not calls._watched)
    assert jambonz.happened == [OVER]
    await calls.close()


async def test_nobody_is_hung_up_on_who_may_talk() -> None:
    jambonz = Jambonz(up=50)
    jambonz.called = OutcomeUnknown("no_answer")
    await jambonz.lose()
    assert (jambonz.told, jambonz.happened) == ([], [OVER])
    jambonz = Jambonz(up=WAITS + 2)
    jambonz.called = [listed(UP, "person", parent_call_sid="call-1")]
    await jambonz.lose()
    assert (jambonz.told, jambonz.happened) == ([], ["joined", "joined", OVER])


async def test_without_an_account_nothing_can_be_done() -> None:
    jambonz = Jambonz(up=50)
    await jambonz.lose(account=False)
    assert (jambonz.told, jambonz.happened) == ([], [])


async def test_what_is_left_of_the_process_before_is_found_and_nothing_else() -> None:
    """Of a call that is here, or that is not ours, nobody is told anything."""
    jambonz = Jambonz(up=20)
    ports = cast(Any, jambonz)
    calls = LostCalls(ports, ports, "jambonz:a-password")
    jambonz.left = [listed(UP), *(listed(UP, sid) for sid in ("here", "unknown", "lost"))]
    calls.watch(LostCall("lost", 100, jambonz._gone, jambonz._joined))
    with calls.here("here"):
        calls.find_left()
        await until(lambda: calls._finding is not None and calls._finding.done() and not calls._watched)
    assert jambonz.connected == ["call-1", "unknown"]
    assert jambonz.told[0] == "/back"
    assert [one.metadata["voice_event"]["reason"] for one in jambonz.ended] == [OVER]
    await calls.close()


async def test_jambonz_is_asked_for_its_long_list_once_for_all_calls() -> None:
    jambonz = Jambonz(up=0)
    seconds = 0.0
    shared = SharedDials(jambonz, Clock(monotonic=lambda: seconds), 5)
    await asyncio.gather(*(shared.dialled() for _ in range(10)))
    assert jambonz.asked == 1
    seconds = 5.0
    await shared.dialled()
    assert jambonz.asked == 2
