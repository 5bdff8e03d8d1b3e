"""A connection of jambonz's that does not come back: nobody is left in silence, and two who talk are left."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from channels.voice.jambonz import lost
from channels.voice.jambonz.fake import FakeJambonz, FakeJambonzApi, FakeJambonzCall
from channels.voice.jambonz.fake.wire import CONNECTIONS
from channels.voice.jambonz.lost import WAITS
from channels.voice.jambonz.messages import BACK_HOOK
from gateway.app import App
from tests.integration.jambonz_house import LOGIN, OURS, TEXTS, Line, caller, gateway, statuses
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACCOUNT, APPLICATION, KEY = "account-1", "application-1", "an-api-key"


@dataclass
class Site:
    """The gateway, and a jambonz that can be asked."""

    app: App
    jambonz: FakeJambonz
    api: FakeJambonzApi


def account(url: str) -> dict[str, str]:
    """In the environment: jambonz may be asked."""
    return {
        "JAMBONZ_API_URL": url,
        "JAMBONZ_API_KEY": KEY,
        "JAMBONZ_ACCOUNT_SID": ACCOUNT,
        "JAMBONZ_APPLICATION_SID": APPLICATION,
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """For all tests here."""
    jambonz = FakeJambonz("", LOGIN)
    api = FakeJambonzApi(jambonz, ACCOUNT, APPLICATION, KEY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lost, "LIST_SECONDS", 0)  # a test looks as often as it likes
        async with gateway(tmp_path_factory.mktemp("site"), **account(await api.start())) as app:
            jambonz.url = app.http_url
            yield Site(app, jambonz, api)
    await api.stop()


class Looks:
    """The gateway looks at the calls that it has lost when the test says so."""

    def __init__(self) -> None:
        self._due = asyncio.Semaphore(0)
        self._waiting = self._begun = 0

    async def pause(self) -> None:
        """Until then."""
        self._begun += 1
        self._waiting += 1
        try:
            await self._due.acquire()
        finally:
            self._waiting -= 1

    async def look(self, times: int = 1) -> None:
        """So and so often; the call is lost still."""
        for _ in range(times):
            begun = await self.look_last()
            await until(partial(self._has_begun, begun + 1))

    async def look_last(self) -> int:
        """Once more: the call is over, or lost no more. How often it was waited so far."""
        await until(lambda: self._waiting == 1)
        self._due.release()
        return self._begun

    def _has_begun(self, times: int) -> bool:
        return self._begun >= times


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """Of one test."""
    looks = Looks()
    monkeypatch.setattr(lost, "pause", looks.pause)
    return looks


@pytest_asyncio.fixture(loop_scope="module")
async def line(site: Site, looks: Looks) -> AsyncIterator[Line]:
    """A caller who has been greeted."""
    site.api.changed.clear()
    async with caller(site.app, OURS, jambonz=site.jambonz) as opened:
        yield opened


async def lose(line: Line) -> None:
    """The last connection that jambonz makes for a call breaks."""
    for _ in range(CONNECTIONS - 1):
        await line.breaks()
    await line.call.drop()
    await until(lambda: line.call.wire.given_up)


async def test_who_is_left_in_silence_is_told_goodbye_and_hung_up_on(line: Line, looks: Looks) -> None:
    await lose(line)
    await looks.look(WAITS + 2)
    await until(lambda: line.call.ended)
    assert line.call.said[-1] == TEXTS.goodbye
    assert await line.status() == "active"  # jambonz could not tell
    await looks.look_last()
    await line.becomes("closed")


async def test_who_cannot_be_told_goodbye_is_hung_up_on(
    site: Site, line: Line, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeJambonzCall, "redirect", nothing)
    await lose(line)
    await looks.look(WAITS + 3)
    await until(lambda: line.call.ended)
    assert site.api.changed[-1] == {"call_status": "completed"}
    await looks.look_last()
    await line.becomes("closed")


async def nothing(_call: FakeJambonzCall, _hook: object) -> None:
    """jambonz has a command, and nothing comes of it."""


async def test_jambonz_comes_back_where_it_is_asked_to(site: Site, line: Line, looks: Looks) -> None:
    """Its next try was refused, as the gateway was away behind its load balancer."""
    await line.call.drop(idle=True)
    await looks.look(WAITS)
    await looks.look_last()
    await until(lambda: line.call.wire.reconnected == 1)
    await line.hears(TEXTS.apology)
    await until(lambda: line.call.listener is not None)
    await line.call.say("hello again")
    await line.hears("You said hello again.")
    assert site.api.changed == [{"call_hook": BACK_HOOK}]
    assert await line.status() == "active"


async def test_two_who_talk_are_left_to_it(site: Site, line: Line, looks: Looks) -> None:
    """And the caller is let go when the other one is."""
    await line.call.say("billing")
    callee = await line.dials()
    await lose(line)
    await looks.look(WAITS + 2)
    await callee.answer()
    await looks.look()
    await line.becomes("transferred")
    await looks.look(2)
    callee.hang_up()
    await until(lambda: callee.over)
    assert site.api.changed == []
    await looks.look(2)
    await until(lambda: line.call.ended)
    await looks.look_last()
    await line.becomes("closed")
    await line.notes("Call transferred.")


async def test_who_hangs_up_unheard_of_is_gone(line: Line, looks: Looks) -> None:
    await lose(line)
    await line.call.hang_up()
    await looks.look_last()
    await line.becomes("closed")


async def test_a_call_of_the_process_before_is_found(site: Site, looks: Looks, tmp_path: Path) -> None:
    """The only one there is: jambonz was refused while it started again, and does not come back."""
    async with gateway(tmp_path) as before:
        jambonz = FakeJambonz(before.http_url, LOGIN)
        call = await jambonz.call("14155559999", OURS.removeprefix("+"))
        await until(lambda: TEXTS.greeting in call.said)
        call.wire.give_up()
    api = FakeJambonzApi(jambonz, ACCOUNT, APPLICATION, KEY)
    async with aiohttp.ClientSession() as http, gateway(tmp_path, **account(await api.start())) as app:
        assert list((await statuses(app, http)).values()) == ["active"]
        await looks.look(1 + WAITS + 2)
        await until(lambda: call.ended)
        assert call.said[-1] == TEXTS.goodbye
        await looks.look_last()
        async with asyncio.timeout(PATIENCE):
            while list((await statuses(app, http)).values()) != ["closed"]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    await api.stop()
    await jambonz.stop()
