"""The fake Twilio as the origin of texts and calls, against a small webhook server of our own."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import aiohttp
import pytest
from aiohttp import web
from twilio.base.exceptions import TwilioRestException
from twilio.twiml.voice_response import VoiceResponse

from channels.twilio.fake import CallError, CallStatus, FakeTwilio, WebhookUnreachable
from channels.twilio.signature import verify
from tests.integration.official_twilio import official_client
from tests.loopback import served

ACCOUNT = "AC" + "0" * 32
TOKEN = "secret"
OURS, THEIRS = "+15550100000", "+15550199999"


@dataclass
class Gateway:
    """Answers webhooks with the documents it was given, by path, and keeps what it was asked."""

    url: str = ""
    documents: dict[str, str] = field(default_factory=dict)
    status: int = 200
    content_type: str = "text/xml"
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    signed: list[bool] = field(default_factory=list)
    signed_base: str = ""

    async def take(self, request: web.Request) -> web.Response:
        pairs = parse_qsl((await request.read()).decode(), keep_blank_values=True)
        self.asked.append((request.path, dict(pairs) | dict(request.query)))
        url = (self.signed_base or self.url) + request.path_qs
        self.signed.append(verify([TOKEN], url, pairs, request.headers["X-Twilio-Signature"]))
        document = self.documents.get(request.path, "<Response/>")
        return web.Response(text=document, status=self.status, content_type=self.content_type)

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", gateway.take)
    async with served(app) as gateway.url:
        yield gateway


@pytest.fixture
async def fake(gateway: Gateway) -> AsyncIterator[FakeTwilio]:
    fake = FakeTwilio(ACCOUNT, TOKEN, webhook_url=gateway.url)
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
def client(fake: FakeTwilio) -> Iterator[Any]:
    with official_client(ACCOUNT, TOKEN, fake.url) as opened:
        yield opened


def twiml() -> Any:
    """The official TwiML builder, which has no types."""
    return VoiceResponse()


async def test_a_text_is_a_signed_webhook(fake: FakeTwilio, gateway: Gateway) -> None:
    answer = await fake.text(THEIRS, OURS, "héllo\r\n", NumMedia="0", OptOutType="STOP")
    assert (answer.status, answer.content_type, answer.body) == (200, "text/xml", "<Response/>")
    path, form = gateway.asked[0]
    assert (path, gateway.signed) == ("/webhooks/twilio/sms", [True])
    assert (form["From"], form["To"], form["Body"]) == (THEIRS, OURS, "héllo\r\n")
    assert (form["OptOutType"], form["NumSegments"], form["SmsStatus"]) == ("STOP", "1", "received")
    assert form["MessageSid"] == form["SmsSid"] == fake.inbound[0].sid
    assert not fake.messages


async def test_a_text_can_be_repeated_and_sent_past_the_public_name(
    fake: FakeTwilio, gateway: Gateway
) -> None:
    fake.webhook_url = gateway.signed_base = "https://gateway.example"
    for _ in range(2):
        await fake.text(THEIRS, OURS, "x" * 2000, via=gateway.url, MessageSid="SM" + "1" * 32)
    assert gateway.signed == [True, True]
    assert {form["MessageSid"] for _, form in gateway.asked} == {"SM" + "1" * 32}
    assert len(gateway.asked[0][1]["Body"]) == 1600
    assert len(fake.inbound) == 1


async def test_a_text_to_nobody_is_an_error(fake: FakeTwilio) -> None:
    fake.webhook_url = "http://127.0.0.1:1"
    with pytest.raises(WebhookUnreachable):
        await fake.text(THEIRS, OURS, "hello")


async def test_inbound_texts_are_in_the_list_of_messages(fake: FakeTwilio, client: Any) -> None:
    await fake.text(THEIRS, OURS, "hello")
    (listed,) = await asyncio.to_thread(lambda: client.messages.list(to=OURS))
    assert (listed.direction, listed.status, listed.body) == ("inbound", "received", "hello")


async def test_a_conversation_by_voice(fake: FakeTwilio, gateway: Gateway) -> None:
    first = twiml()
    gather = first.gather(input="speech dtmf", action="/heard", num_digits=4, finish_on_key="*")
    gather.say("How can I help?")
    first.say("Goodbye.")
    second = twiml()
    second.say("One moment.")
    second.pause(length=2)
    second.redirect("next")
    third = twiml()
    third.say("Here you are.")
    third.dial(number="+15550122222", action="/dialed")
    gateway.documents = {
        "/webhooks/twilio/voice": str(first),
        "/heard": str(second),
        "/next": str(third),
        "/dialed": "<Response><Say>Thanks.</Say><Hangup/></Response>",
    }
    call = await fake.call(THEIRS, OURS)
    assert call.said == ["How can I help?"]
    assert call.listening == {"speech", "dtmf"}
    await call.say("my order")
    assert call.said == ["How can I help?", "One moment.", "Here you are."]
    assert (call.dialed, call.dialing, call.paused_seconds) == (["+15550122222"], True, 2)
    await call.dial_ended("busy")
    assert call.said[-1] == "Thanks."
    assert (call.ended, call.status, call.error) == (True, CallStatus.COMPLETED, "")
    assert gateway.paths() == [
        "/webhooks/twilio/voice",
        "/heard",
        "/next",
        "/dialed",
        "/webhooks/twilio/voice/status",
    ]
    assert all(gateway.signed)
    assert gateway.asked[1][1]["SpeechResult"] == "my order"
    assert gateway.asked[3][1]["DialCallStatus"] == "busy"
    assert gateway.asked[4][1]["CallStatus"] == "completed"
    assert {form["CallSid"] for _, form in gateway.asked} == {call.sid}


@pytest.mark.parametrize(
    ("pressed", "sent"), [("1234", "1234"), ("12*", "12"), ("123456", "1234"), ("*", "")]
)
async def test_keys_end_at_the_finish_key_and_the_number_of_digits(
    fake: FakeTwilio, gateway: Gateway, pressed: str, sent: str
) -> None:
    gateway.documents["/webhooks/twilio/voice"] = (
        '<Response><Gather action="/keys" method="GET" numDigits="4" finishOnKey="*"/></Response>'
    )
    call = await fake.call(THEIRS, OURS)
    await call.press(pressed)
    assert gateway.asked[1][0] == "/keys"
    assert gateway.asked[1][1]["Digits"] == sent
    assert all(gateway.signed)


async def test_silence_goes_on_with_the_document_or_tells_the_action(
    fake: FakeTwilio, gateway: Gateway
) -> None:
    gateway.documents["/webhooks/twilio/voice"] = (
        '<Response><Gather input="speech" action="/a"/>'
        '<Gather input="speech" action="/b" actionOnEmptyResult="true"/></Response>'
    )
    call = await fake.call(THEIRS, OURS)
    await call.silence()
    assert not call.ended
    await call.silence()
    assert gateway.paths()[1] == "/b"
    assert gateway.asked[1][1]["SpeechResult"] == ""
    assert call.ended


async def test_a_call_refuses_what_it_does_not_listen_for(fake: FakeTwilio, gateway: Gateway) -> None:
    gateway.documents["/webhooks/twilio/voice"] = '<Response><Gather action="/a"/></Response>'
    call = await fake.call(THEIRS, OURS)
    with pytest.raises(CallError):
        await call.say("hello")
    with pytest.raises(CallError):
        await call.dial_ended()
    assert call.listening == {"dtmf"}
    await call.hang_up()
    await call.hang_up()
    with pytest.raises(CallError):
        await call.press("1")
    assert gateway.paths().count("/webhooks/twilio/voice/status") == 1


@pytest.mark.parametrize(
    ("status", "content_type", "document", "error"),
    [
        (500, "text/xml", "<Response/>", "11200"),
        (200, "application/json", "{}", "12300"),
        (200, "text/xml", "<Response>", "12100"),
        (200, "text/xml", "<Other/>", "12100"),
        (200, "text/xml", '<Response><Pause length="x"/></Response>', "12200"),
        (200, "text/xml", "<Response>" + "<Pause/>" * 300 + "</Response>", "12200"),
        (200, "text/xml", "<Response><Redirect>/webhooks/twilio/voice</Redirect></Response>", "too many"),
        (200, "text/xml", "x" * 70_000, "11200"),
    ],
)
async def test_a_call_is_given_up_for_a_bad_answer(
    fake: FakeTwilio, gateway: Gateway, status: int, content_type: str, document: str, error: str
) -> None:
    gateway.documents["/webhooks/twilio/voice"] = document
    gateway.status, gateway.content_type = status, content_type
    call = await fake.call(THEIRS, OURS)
    assert call.error.startswith(error)
    assert (call.ended, call.status) == (True, CallStatus.FAILED)


async def test_verbs_it_does_not_know_are_named(fake: FakeTwilio, gateway: Gateway) -> None:
    gateway.documents["/webhooks/twilio/voice"] = "<Response><Enqueue>a</Enqueue><Say>b</Say></Response>"
    call = await fake.call(THEIRS, OURS)
    assert (call.unknown_verbs, call.said) == (["Enqueue"], ["b"])


async def test_the_api_moves_and_ends_a_live_call(fake: FakeTwilio, gateway: Gateway, client: Any) -> None:
    gateway.documents["/webhooks/twilio/voice"] = '<Response><Gather action="/a"/></Response>'
    gateway.documents["/moved"] = '<Response><Say>moved</Say><Gather action="/b"/></Response>'
    call = await fake.call(THEIRS, OURS)
    update = client.calls(call.sid).update
    await asyncio.to_thread(lambda: update(twiml='<Response><Say>now</Say><Gather action="/c"/></Response>'))
    await call.wait_for(lambda call: call.said == ["now"], timeout=60)
    await asyncio.to_thread(lambda: update(url=f"{gateway.url}/moved"))
    await call.wait_for(lambda call: call.said == ["now", "moved"], timeout=60)
    await asyncio.to_thread(lambda: update(status="completed"))
    await call.wait_for(lambda call: call.ended, timeout=60)
    with pytest.raises(TwilioRestException) as refused:
        await asyncio.to_thread(lambda: update(status="completed"))
    assert refused.value.code == 21220
    fetched = await asyncio.to_thread(client.calls(call.sid).fetch)
    assert (fetched.status, fetched.direction, fetched._from) == ("completed", "inbound", THEIRS)


async def test_the_api_makes_a_call(fake: FakeTwilio, gateway: Gateway, client: Any) -> None:
    gateway.documents["/out"] = '<Response><Say>hello</Say><Gather action="/a"/></Response>'
    created = await asyncio.to_thread(
        lambda: client.calls.create(
            to=THEIRS,
            from_=OURS,
            url=f"{gateway.url}/out",
            status_callback=f"{gateway.url}/progress",
            status_callback_event=["answered", "completed"],
        )
    )
    assert (created.status, created.direction) == ("queued", "outbound-api")
    (call,) = fake.calls
    await call.wait_for(lambda call: call.listening == {"dtmf"}, timeout=60)
    assert (call.said, call.status) == (["hello"], CallStatus.IN_PROGRESS)
    await call.hang_up()
    assert gateway.paths() == ["/progress", "/out", "/progress"]
    assert [form["CallStatus"] for _, form in gateway.asked] == ["in-progress", "in-progress", "completed"]
    listed = await asyncio.to_thread(lambda: client.calls.list(to=THEIRS, status="completed"))
    assert [one.sid for one in listed] == [created.sid]
    with pytest.raises(TwilioRestException) as refused:
        await asyncio.to_thread(lambda: client.calls.create(to=THEIRS, from_=OURS))
    assert refused.value.code == 21205


async def test_it_runs_as_a_process_of_its_own(gateway: Gateway, tmp_path: Path) -> None:
    options = {
        "--webhook-url": gateway.url,
        "--account-sid": ACCOUNT,
        "--auth-token": TOKEN,
        "--faults": "rate_429=1",
        "--ledger": str(tmp_path / "ledger.jsonl"),
    }
    arguments = [part for pair in options.items() for part in pair]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "channels.twilio.fake", *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        word, url = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().split()
        assert word == "ready"
        await drive(url)
        assert gateway.signed == [True]
        assert len((tmp_path / "ledger.jsonl").read_text().splitlines()) == 2
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def drive(url: str) -> None:
    """Use the control API and the REST API of the process at `url`."""
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
    create = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    form = {"To": THEIRS, "From": OURS, "Body": "out"}
    async with aiohttp.ClientSession(url, headers=headers) as session:
        async with session.post(create, data=form) as response:
            assert response.status == 429
        async with session.post("/_fake/faults", json={"rate_42": 1}) as response:
            assert response.status == 400
        async with session.post("/_fake/faults", json={}) as response:
            assert (await response.json())["rate_429"] == 0
        async with session.post(create, data=form) as response:
            assert response.status == 201
        async with session.post("/_fake/text", json={"from": THEIRS, "to": OURS, "body": "in"}) as response:
            assert await response.json() == {"status": 200, "body": "<Response/>"}
        async with session.post("/_fake/text", json={"from": THEIRS}) as response:
            assert response.status == 400
        async with session.get("/_fake/messages") as response:
            assert [one["body"] for one in (await response.json())["messages"]] == ["out", "in"]
        async with session.get("/_fake/messages?" + urlencode({"after": 0})) as response:
            assert [one["direction"] for one in (await response.json())["messages"]] == ["inbound"]
        async with session.delete("/_fake/messages") as response:
            assert response.status == 204
        async with session.get("/_fake/messages") as response:
            assert (await response.json())["messages"] == []
