"""The fake Twilio's REST side, driven by the official client and over raw sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import pytest
from aiohttp import web
from twilio.base.exceptions import TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from channels.twilio.fake import FakeTwilio, Faults, Ledger
from channels.twilio.signature import verify
from tests.integration.official_twilio import official_client
from tests.loopback import served

ACCOUNT = "AC" + "0" * 32
TOKEN = "secret"
OURS, THEIRS = "+15550100000", "+15550199999"
MESSAGE_FIELDS = """
    account_sid api_version body date_created date_sent date_updated direction error_code error_message from
    messaging_service_sid num_media num_segments price price_unit sid status subresource_uris to uri
"""
PAGE_FIELDS = "end first_page_uri messages next_page_uri page page_size previous_page_uri start uri"


@dataclass
class Receiver:
    """Receives callbacks and keeps them, in the order they arrived."""

    url: str = ""
    forms: list[dict[str, str]] = field(default_factory=list)
    signed: list[bool] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """Statuses to answer with, 0 drops the connection; 204 when used up."""

    async def take(self, request: web.Request) -> web.StreamResponse:
        pairs = parse_qsl((await request.read()).decode(), keep_blank_values=True)
        self.forms.append(dict(pairs))
        url = f"{self.url}{request.path_qs}"
        self.signed.append(verify([TOKEN], url, pairs, request.headers["X-Twilio-Signature"]))
        status = self.answers.pop(0) if self.answers else 204
        if not status:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=status or 204)

    def statuses(self, sid: str) -> list[str]:
        return [form["MessageStatus"] for form in self.forms if form["MessageSid"] == sid]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/status", receiver.take)
    async with served(app) as receiver.url:
        yield receiver


@pytest.fixture
async def fake() -> AsyncIterator[FakeTwilio]:
    fake = FakeTwilio(ACCOUNT, TOKEN, callback_delay=0.0)
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
def client(fake: FakeTwilio) -> Iterator[Any]:
    """The official client; it is synchronous, so tests call it in a thread."""
    with official_client(ACCOUNT, TOKEN, fake.url) as opened:
        yield opened


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
    async with aiohttp.ClientSession(headers=headers) as session:
        yield session


def messages_url(fake: FakeTwilio) -> str:
    return f"{fake.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"


async def send(client: Any, body: str = "hello", **extra: Any) -> Any:
    fields = {"to": THEIRS, "from_": OURS, "body": body} | extra
    return await asyncio.to_thread(lambda: client.messages.create(**fields))


async def test_the_official_client_creates_fetches_and_lists(fake: FakeTwilio, client: Any) -> None:
    created = await send(client, "one")
    assert (created.status, created.direction, created.num_segments) == ("queued", "outbound-api", "1")
    assert (created.to, created.from_, created.body) == (THEIRS, OURS, "one")
    assert created.date_sent is None
    assert created.date_created is not None
    await send(client, "other", to="+15550188888")
    fetched = await asyncio.to_thread(client.messages(created.sid).fetch)
    assert (fetched.sid, fetched.status) == (created.sid, "delivered")
    listed = await asyncio.to_thread(lambda: client.messages.list(to=THEIRS, from_=OURS))
    assert [message.sid for message in listed] == [created.sid]
    assert await asyncio.to_thread(lambda: client.messages.list(to=THEIRS, from_=THEIRS)) == []
    assert [message.body for message in fake.messages] == ["one", "other"]
    assert [message.sid for message in fake.by_pair(THEIRS, OURS)] == [created.sid]
    assert fake.by_pair(THEIRS, THEIRS) == []


@pytest.mark.filterwarnings("ignore:The 'auth' parameter is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")
async def test_the_official_asynchronous_client_works(fake: FakeTwilio) -> None:
    async with AsyncTwilioHttpClient() as http:
        client: Any = Client(ACCOUNT, TOKEN, http_client=http)
        client.api.base_url = fake.url
        created = await client.messages.create_async(to=THEIRS, from_=OURS, body="one")
        fetched = await client.messages(created.sid).fetch_async()
        listed = await client.messages.list_async(to=THEIRS)
        call = await client.calls.create_async(to=THEIRS, from_=OURS, twiml="<Response><Hangup/></Response>")
    assert fetched.body == "one"
    assert [message.sid for message in listed] == [created.sid]
    assert call.status == "queued"


async def test_lists_are_paged_newest_first(fake: FakeTwilio, client: Any) -> None:
    for index in range(7):
        await send(client, str(index))
    bodies = await asyncio.to_thread(lambda: [one.body for one in client.messages.list(page_size=3)])
    assert bodies == list("6543210")
    page = await asyncio.to_thread(lambda: client.messages.page(to=THEIRS, page_size=3))
    assert [one.body for one in page] == list("654")
    await send(client, "late")  # a newer message does not shift the page after
    second = await asyncio.to_thread(page.next_page)
    assert second is not None
    assert [one.body for one in second] == list("321")
    first = await asyncio.to_thread(second.previous_page)
    assert first is not None
    assert [one.body for one in first] == list("654")


async def test_the_answer_has_the_fields_of_the_real_api(
    fake: FakeTwilio, session: aiohttp.ClientSession
) -> None:
    form = {"To": THEIRS, "From": OURS, "Body": "€" * 81}
    async with session.post(messages_url(fake), data=form) as response:
        assert response.status == 201
        created = await response.json()
    assert set(created) == set(MESSAGE_FIELDS.split())
    assert created["num_segments"] == "2"  # 162 septets: a euro sign takes two
    async with session.get(messages_url(fake), params={"PageSize": "1"}) as response:
        listed = await response.json()
    assert set(listed) == set(PAGE_FIELDS.split())


@pytest.mark.parametrize(
    ("change", "code", "status"),
    [
        ({"to": ""}, 21604, 400),
        ({"to": "12345"}, 21211, 400),
        ({"to": "+15005550004"}, 21610, 400),
        ({"from_": "+15005550007"}, 21606, 400),
        ({"from_": "nobody at all"}, 21212, 400),
        ({"from_": ""}, 21603, 400),
        ({"body": ""}, 21602, 400),
        ({"body": "x" * 1601}, 21617, 400),
        ({"media_url": ["https://e.x/a.png"] * 11}, 21623, 400),
        ({"status_callback": "https://under_score.example/s"}, 21609, 400),
    ],
)
async def test_requests_are_refused_as_twilio_refuses_them(
    fake: FakeTwilio, client: Any, change: dict[str, Any], code: int, status: int
) -> None:
    with pytest.raises(TwilioRestException) as refused:
        await send(client, **change)
    assert (refused.value.code, refused.value.status) == (code, status)
    assert not fake.messages


async def test_media_and_messaging_services_stand_in_for_body_and_sender(
    fake: FakeTwilio, client: Any
) -> None:
    media = await send(client, "", media_url=["https://e.x/a.png", "https://e.x/b.png"])
    assert (media.num_media, media.sid[:2]) == ("2", "MM")
    service = "MG" + "1" * 32
    pooled = await asyncio.to_thread(
        lambda: client.messages.create(to=THEIRS, messaging_service_sid=service, body="x")
    )
    assert (pooled.status, pooled.num_segments, pooled.from_) == ("accepted", "0", None)
    assert pooled.messaging_service_sid == service


async def test_bad_credentials_and_unknown_messages(fake: FakeTwilio, client: Any) -> None:
    with pytest.raises(TwilioRestException) as unknown:
        await asyncio.to_thread(client.messages("SM" + "0" * 32).fetch)
    assert (unknown.value.code, unknown.value.status) == (20404, 404)
    client.password = "wrong"
    client.auth = (ACCOUNT, "wrong")
    with pytest.raises(TwilioRestException) as refused:
        await send(client)
    assert (refused.value.code, refused.value.status) == (20003, 401)
    assert not fake.messages


async def test_status_callbacks_are_signed_and_in_order(
    fake: FakeTwilio, client: Any, receiver: Receiver
) -> None:
    fake.statuses_for(THEIRS, ["queued", "sent", "undelivered:30003"])
    sent = await send(client, status_callback=f"{receiver.url}/status?p=1&a=2#rc=2")
    await fake.callbacks.settled()
    assert receiver.signed == [True, True]
    assert receiver.statuses(sent.sid) == ["sent", "undelivered"]
    assert receiver.forms[1]["ErrorCode"] == "30003"
    assert (receiver.forms[1]["To"], receiver.forms[1]["AccountSid"]) == (THEIRS, ACCOUNT)
    assert (fake.messages[0].status, fake.messages[0].error_code) == ("undelivered", 30003)
    assert (fake.callbacks.sent, fake.callbacks.failed) == (2, 0)


async def test_a_callback_is_retried_once_on_connection_failure_only(
    fake: FakeTwilio, client: Any, receiver: Receiver
) -> None:
    receiver.answers = [0, 204, 500]
    sent = await send(client, status_callback=f"{receiver.url}/status")
    await fake.callbacks.settled()
    assert receiver.statuses(sent.sid) == ["sent", "sent", "delivered"]
    assert (fake.callbacks.sent, fake.callbacks.failed) == (1, 1)


async def test_a_callback_is_retried_as_its_url_asks_for(
    fake: FakeTwilio, client: Any, receiver: Receiver
) -> None:
    receiver.answers = [500, 0, 404, 204, 404, 204]
    sent = await send(client, status_callback=f"{receiver.url}/status#rc=3&rp=all")
    await fake.callbacks.settled()
    assert receiver.statuses(sent.sid) == ["sent"] * 4 + ["delivered"] * 2
    assert (fake.callbacks.sent, fake.callbacks.failed) == (2, 0)
    receiver.answers = [500] * 5 + [404]
    fake.statuses_for(THEIRS, ["queued", "sent"])
    sent = await send(client, status_callback=f"{receiver.url}/status#rc=9&rp=5xx")
    await fake.callbacks.settled()
    assert receiver.statuses(sent.sid) == ["sent"] * 6


async def test_some_messages_are_not_delivered(fake: FakeTwilio, client: Any, receiver: Receiver) -> None:
    fake.faults = Faults(undelivered=1)
    sent = await send(client, status_callback=f"{receiver.url}/status")
    await fake.callbacks.settled()
    assert receiver.statuses(sent.sid) == ["sent", "undelivered"]
    assert receiver.forms[-1]["ErrorCode"] == "30036"
    assert fake.messages[-1].status == "undelivered"


async def test_callbacks_can_be_doubled_shuffled_and_withheld(
    fake: FakeTwilio, client: Any, receiver: Receiver
) -> None:
    url = f"{receiver.url}/status"
    for fault, expected in {
        "duplicate_callbacks": ["sent", "sent", "delivered", "delivered"],
        "reorder_callbacks": ["delivered", "sent"],
        "no_callbacks": [],
    }.items():
        fake.faults = Faults.parse({fault: 1})
        sent = await send(client, status_callback=url)
        await fake.callbacks.settled()
        assert receiver.statuses(sent.sid) == expected
        assert fake.messages[-1].status == "delivered"
    fake.faults = Faults()
    fake.callbacks.enabled = False
    sent = await send(client, status_callback=url)
    assert receiver.statuses(sent.sid) == []
    assert fake.messages[-1].status == "delivered"


async def post(session: aiohttp.ClientSession, fake: FakeTwilio) -> int:
    """Status of a create, 0 where the connection was closed without an answer."""
    form = {"To": THEIRS, "From": OURS, "Body": "x"}
    try:
        async with session.post(messages_url(fake), data=form) as response:
            await response.read()
            return response.status
    except aiohttp.ClientConnectionError:
        return 0


@pytest.mark.parametrize(
    ("fault", "statuses", "recorded"),
    [
        ("drop_after_accept", {0}, 10),
        ("drop_before", {0}, 0),
        ("rate_429", {429}, 0),
        ("rate_5xx", {500, 503}, 0),
    ],
)
async def test_request_faults(
    fake: FakeTwilio, session: aiohttp.ClientSession, fault: str, statuses: set[int], recorded: int
) -> None:
    fake.faults = Faults.parse({fault: 1})
    assert {await post(session, fake) for _ in range(10)} == statuses
    assert len(fake.messages) == recorded
    fake.faults = Faults()
    assert await post(session, fake) == 201


async def test_faults_come_in_a_repeatable_order(fake: FakeTwilio, session: aiohttp.ClientSession) -> None:
    runs = []
    for seed in (7, 7, 8):
        fake.faults = Faults(rate_429=0.5, seed=seed)
        runs.append([await post(session, fake) for _ in range(20)])
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) == {201, 429}


async def test_delay_holds_a_request_back(fake: FakeTwilio, session: aiohttp.ClientSession) -> None:
    fake.faults = Faults(delay_seconds=0.2, delay_probability=1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await post(session, fake) == 201
    assert loop.time() - began >= 0.2


@pytest.mark.parametrize(
    "values", [{"rate_429": 1.1}, {"rate_429": -0.1}, {"rate": 1}, {"rate_429": "x"}, {"rate_429": None}]
)
def test_faults_out_of_range_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"fault|could not convert"):
        Faults.parse(values)


async def test_too_many_fields_and_broken_text_are_refused(
    fake: FakeTwilio, session: aiohttp.ClientSession
) -> None:
    for body in (b"a=1&" * 300, b"Body=%ff"):
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        async with session.post(messages_url(fake), data=body, headers=headers) as response:
            assert response.status == 400


async def test_the_ledger_is_also_written_to_a_file(tmp_path: Path) -> None:
    fake = FakeTwilio(ACCOUNT, TOKEN, ledger=Ledger(path=tmp_path / "ledger.jsonl"))
    await fake.start()
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
    async with aiohttp.ClientSession(headers=headers) as session:
        await asyncio.gather(*[post(session, fake) for _ in range(5)])
        lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
        assert [line["sid"] for line in lines] == [message.sid for message in fake.messages]
        assert [line["ordinal"] for line in lines] == list(range(5))
    await fake.stop()
