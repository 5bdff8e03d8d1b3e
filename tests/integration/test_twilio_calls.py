"""Calls through the official client against the fake Twilio, whose phones behave as they are told."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web

from channels.twilio.calls import ListedCall, NewCall, TwilioCalls
from channels.twilio.credentials import TwilioCredentials
from channels.twilio.fake import CallStatus, FakeTwilio, Faults, Phone
from channels.twilio.signature import verify
from gateway.domain.delivery import Failure, OutcomeUnknown, Refused, Taken
from tests.loopback import served

ACCOUNT = "AC" + "0" * 32
TOKEN = "token-of-this-test"
OURS, THEIRS = "+15550100", "+15550123"
PATIENCE = 60.0


@dataclass
class Gateway:
    """Keeps what the fake tells it, and answers every document with the same one."""

    url: str = ""
    document: str = '<Response><Say>Hello</Say><Gather action="/heard"/></Response>'
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        """Any request of the fake's."""
        pairs = parse_qsl((await request.read()).decode(), keep_blank_values=True)
        assert verify([TOKEN], self.url + request.path_qs, pairs, request.headers["X-Twilio-Signature"])
        self.asked.append((request.path, dict(pairs)))
        self.changed.set()
        return web.Response(text=self.document, content_type="text/xml")

    def told(self, path: str, name: str) -> list[str]:
        """The values of a parameter in what came to a path."""
        return [form[name] for at, form in self.asked if at == path]

    async def until(self, count: int) -> None:
        """Wait for so many requests."""
        async with asyncio.timeout(PATIENCE):
            while len(self.asked) < count:
                self.changed.clear()
                await self.changed.wait()


@dataclass
class Bench:
    """All three."""

    gateway: Gateway
    fake: FakeTwilio
    calls: TwilioCalls

    def new(self, **changed: Any) -> NewCall:
        """A call to make."""
        url = self.gateway.url
        call = NewCall(
            to=THEIRS, sender=OURS, url=f"{url}/go", status_callback=f"{url}/told", ring_seconds=20
        )
        return replace(call, **changed)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A fake Twilio that reaches a gateway, and a client of it."""
    gateway = Gateway()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", gateway.take)
    async with served(app) as gateway.url:
        fake = FakeTwilio(ACCOUNT, TOKEN)
        url = await fake.start()
        calls = TwilioCalls(TwilioCredentials(account_sid=ACCOUNT, auth_tokens=(TOKEN,), api_url=url))
        yield Bench(gateway, fake, calls)
        await calls.close()
        await fake.stop()


async def test_a_call_is_begun_and_tells_how_it_goes(bench: Bench) -> None:
    outcome = await bench.calls.create(bench.new(), PATIENCE)
    (call,) = bench.fake.calls
    assert outcome == Taken(call.sid)
    await bench.gateway.until(4)
    await call.wait_for(lambda one: one.listening == {"dtmf"}, PATIENCE)
    await call.hang_up()
    assert [path for path, _ in bench.gateway.asked] == ["/told", "/told", "/told", "/go", "/told"]
    assert bench.gateway.told("/told", "CallStatus") == ["initiated", "ringing", "in-progress", "completed"]
    assert bench.gateway.told("/told", "SequenceNumber") == ["0", "1", "2", "3"]
    assert bench.gateway.told("/go", "Direction") == ["outbound-api"]


@pytest.mark.parametrize("ends", [CallStatus.BUSY, CallStatus.NO_ANSWER, CallStatus.FAILED])
async def test_a_phone_may_not_be_answered(bench: Bench, ends: CallStatus) -> None:
    bench.fake.phone(THEIRS, Phone(ends=ends))
    await bench.calls.create(bench.new(), PATIENCE)
    await bench.gateway.until(3)
    assert bench.gateway.told("/told", "CallStatus") == ["initiated", "ringing", ends]
    assert "/go" not in dict(bench.gateway.asked)


async def test_a_phone_rings_until_somebody_picks_up(bench: Bench) -> None:
    bench.fake.phone(THEIRS, Phone(rings=True))
    await bench.calls.create(bench.new(), PATIENCE)
    await bench.gateway.until(2)
    (call,) = bench.fake.calls
    await call.wait_for(lambda one: one.status is CallStatus.RINGING, PATIENCE)
    call.pick_up()
    await call.wait_for(lambda one: one.said == ["Hello"], PATIENCE)


@pytest.mark.parametrize("answered_by", ["human", "machine_start", "fax"])
async def test_who_answers_is_told_beside_the_call(bench: Bench, answered_by: str) -> None:
    bench.fake.phone(THEIRS, Phone(answered_by=answered_by))
    machine = f"{bench.gateway.url}/who"
    await bench.calls.create(bench.new(machine_detection="Enable", machine_callback=machine), PATIENCE)
    await bench.gateway.until(5)
    assert bench.gateway.told("/who", "AnsweredBy") == [answered_by]
    assert "AnsweredBy" not in dict(bench.gateway.asked)["/go"]


async def test_a_call_whose_answer_was_lost_is_in_the_list(bench: Bench) -> None:
    bench.fake.faults = Faults(drop_after_accept=1)
    outcome = await bench.calls.create(bench.new(), PATIENCE)
    assert isinstance(outcome, OutcomeUnknown)
    bench.fake.faults = Faults()
    listed = await bench.calls.listed(THEIRS, OURS)
    assert not isinstance(listed, OutcomeUnknown)
    (call,) = bench.fake.calls
    assert [(one.sid, one.direction) for one in listed] == [(call.sid, "outbound-api")]
    assert await bench.calls.listed(OURS, THEIRS) == []
    fetched = await bench.calls.fetched(call.sid)
    assert isinstance(fetched, ListedCall)
    assert fetched.sid == call.sid


async def test_a_call_is_hung_up_once_and_again(bench: Bench) -> None:
    bench.fake.phone(THEIRS, Phone(rings=True))
    await bench.calls.create(bench.new(), PATIENCE)
    await bench.gateway.until(2)
    (call,) = bench.fake.calls
    assert await bench.calls.hang_up(call.sid, PATIENCE) == Taken(call.sid)
    await call.wait_for(lambda one: one.ended, PATIENCE)
    assert await bench.calls.hang_up(call.sid, PATIENCE) == Taken(call.sid)
    gone = "CA" + "9" * 32
    assert await bench.calls.hang_up(gone, PATIENCE) == Taken(gone)  # it is no more
    assert await bench.calls.fetched("CA" + "9" * 32) is None


async def test_a_call_goes_on_elsewhere(bench: Bench) -> None:
    await bench.calls.create(bench.new(), PATIENCE)
    (call,) = bench.fake.calls
    await call.wait_for(lambda one: bool(one.listening), PATIENCE)
    bench.gateway.document = "<Response><Say>Please call back</Say><Hangup/></Response>"
    assert await bench.calls.redirect(call.sid, f"{bench.gateway.url}/message", PATIENCE) == Taken(call.sid)
    await call.wait_for(lambda one: one.ended, PATIENCE)
    assert call.said == ["Hello", "Please call back"]


async def test_a_recording_is_told_of_after_the_call(bench: Bench) -> None:
    recording = f'<Start><Recording recordingStatusCallback="{bench.gateway.url}/recorded"/></Start>'
    bench.gateway.document = f"<Response>{recording}<Hangup/></Response>"
    await bench.calls.create(bench.new(), PATIENCE)
    await bench.gateway.until(6)
    (call,) = bench.fake.calls
    assert bench.gateway.told("/recorded", "RecordingStatus") == ["completed"]
    assert bench.gateway.told("/recorded", "CallSid") == [call.sid]


async def test_what_twilio_refuses_says_why(bench: Bench) -> None:
    assert await bench.calls.create(bench.new(to=""), PATIENCE) == Refused(Failure.PERMANENT, "21201")
    bench.fake.faults = Faults(rate_429=1)
    assert await bench.calls.create(bench.new(), PATIENCE) == Refused(Failure.TRANSIENT, "20429")
    bench.fake.faults = Faults(drop_before=1)
    assert isinstance(await bench.calls.listed(THEIRS, OURS), OutcomeUnknown)
    assert bench.fake.calls == ()


def test_calling_needs_an_account() -> None:
    with pytest.raises(ValueError, match="account sid"):
        TwilioCalls(TwilioCredentials(account_sid=None, auth_tokens=(TOKEN,)))
