"""Texts through Telnyx: events in and messages out over real HTTP, against the fake."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from channels.registry import SENDERS, ChannelSender, Egress
from channels.sms.parts import PartRules
from channels.sms.telnyx_routes import telnyx_sms_routes
from channels.telnyx.credentials import TelnyxCredentials
from channels.telnyx.fake import FakeTelnyx
from channels.telnyx.fake.events import event_body
from channels.twilio.fake import FakeTwilio
from channels.twilio.fake.faults import Faults
from gateway.commands.findings import Verdict
from gateway.commands.telnyx_checks import check_telnyx
from gateway.domain.clock import Clock
from gateway.domain.delivery import Failure, OutcomeUnknown, Part, Refused, Taken
from gateway.domain.errors import Unavailable
from gateway.domain.message import Channel, SenderAuth
from gateway.settings import load_settings
from tests.integration.api import V2, Api, gateway
from tests.integration.test_twilio_client import delivery
from tests.integration.webhooks import OURS, THEIRS, Answer, Site, site
from tests.waiting import until

API_KEY = "key-of-this-test"
PATH = "/webhooks/telnyx/sms"


@dataclass
class Door:
    """The webhook, and the fake that knocks."""

    site: Site
    fake: FakeTelnyx

    async def send(self, body: bytes, **headers: str) -> Answer:
        """A body, proven unless the headers say otherwise."""
        return await self.site.send(
            PATH, data=BytesIO(body), headers=self.fake.events.headers(body) | headers
        )


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """Both, running."""
    fake = FakeTelnyx(API_KEY)
    credentials = TelnyxCredentials(api_key=None, public_keys=(fake.events.public_key,))
    async with site(lambda ingress, _twilio: telnyx_sms_routes(ingress, credentials)) as served:
        fake.webhook_url = served.url
        yield Door(served, fake)
        await fake.stop()


def received(**changes: Any) -> bytes:
    """A text that came in."""
    payload = {"id": "m-1", "from": {"phone_number": THEIRS}, "to": [{"phone_number": OURS}], "text": "Hi"}
    return event_body("message.received", payload | changes)


async def test_a_text_is_accepted_once(door: Door) -> None:
    for _ in range(3):
        answer = await door.fake.text(THEIRS, OURS, "Grüße & 50 % 😀\nBye ", id="twice")
        assert (answer.status, answer.body) == (200, "")
    [message] = door.site.core.messages.values()
    assert message.text == "Grüße & 50 % 😀\nBye "
    assert (message.provider, message.provider_message_id) == ("telnyx", "twice")
    assert (message.sender, message.recipient, message.channel) == (THEIRS, OURS, Channel.SMS)
    assert message.sender_auth is SenderAuth.VERIFIED
    assert message.metadata["provider"]["encoding"] == "GSM-7"
    assert "text" not in message.metadata["provider"]


async def test_files_are_named_by_where_they_are(door: Door) -> None:
    media = [{"url": "https://media.telnyx.test/1", "content_type": "image/png", "size": 12}, {"url": None}]
    assert (await door.send(received(media=media))).status == 200
    [message] = door.site.core.messages.values()
    [file] = message.attachments
    assert (file.media_type, file.size, file.source) == ("image/png", 12, "https://media.telnyx.test/1")


async def test_who_withholds_the_number_stands_alone(door: Door) -> None:
    await door.send(received(**{"from": {"phone_number": "anonymous"}}))
    [message] = door.site.core.messages.values()
    assert (message.sender, message.sender_auth) == ("anonymous:m-1", SenderAuth.UNVERIFIED)


@pytest.mark.parametrize(
    "headers",
    [
        {"telnyx-signature-ed25519": ""},
        {"telnyx-signature-ed25519": "bm9wZQ=="},
        {"telnyx-timestamp": ""},
        {"telnyx-timestamp": "1700000000"},
    ],
)
async def test_an_unproven_request_is_refused(door: Door, headers: dict[str, str]) -> None:
    answer = await door.send(received(), **headers)
    assert (answer.status, json.loads(answer.body)["error"]) == (403, "forbidden")
    assert not door.site.core.messages


async def test_an_old_request_is_refused_though_it_was_signed(door: Door) -> None:
    body = received()
    answer = await door.send(body, **door.fake.events.headers(body, timestamp="1700000000"))
    assert answer.status == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[" * 200_000, 400),
        (b"{}", 422),
        (b" " * 1_048_577, 413),
        (received(to=[]), 422),
        (received(to=[{"phone_number": OURS}, {"phone_number": "+15550199"}]), 422),
        (received(cc=[{"phone_number": "+15550199"}]), 422),
        (received(to=[{"phone_number": "+15550999"}]), 404),
        (event_body("message.sent", {"id": "m-1", "to": [{"phone_number": OURS}]}), 422),
    ],
)
async def test_bad_input_is_refused(door: Door, body: bytes, status: int) -> None:
    assert (await door.send(body)).status == status
    assert not door.site.core.messages


async def test_an_event_of_a_new_kind_is_taken_and_ignored(door: Door) -> None:
    assert (await door.send(event_body("message.admired", {}))).status == 200
    assert not door.site.core.messages


async def test_where_nothing_can_be_stored_telnyx_tries_again(door: Door) -> None:
    door.site.core.failure = Unavailable("the database does not answer")
    answer = await door.send(received())
    assert (answer.status, "retry-after" in answer.headers) == (503, True)


async def test_a_reference_in_the_called_url_proves_nothing(door: Door) -> None:
    body = event_body(
        "message.finalized", {"id": "m-1", "to": [{"phone_number": OURS, "status": "delivered"}]}
    )
    query = "?d=0190a000-0000-7000-8000-0000000000aa&p=0&a=1"
    answer = await door.site.send(PATH + query, data=body, headers=door.fake.events.headers(body))
    assert answer.status == 200
    [receipt] = door.site.core.receipts
    assert (receipt.provider_message_id, receipt.delivery_id) == ("m-1", None)


@dataclass
class Bench:
    """A fake Telnyx and a sender that sends to it."""

    fake: FakeTelnyx
    sender: ChannelSender

    async def send(self, text: str = "Hello", *, to: str = THEIRS, timeout: float = 60) -> Any:
        """Send one part."""
        part = Part(delivery_id=delivery().id, index=0, text=text, hash="", attempt=1, claimed_at=1)
        return await self.sender.send(delivery(text, to=to), part, timeout)


def sender_for(url: str, public_key: str, api_key: str = API_KEY) -> ChannelSender:
    """The sender of the registry."""

    async def bound(ids: object) -> set[str]:
        return set()

    egress = Egress(
        public_url="http://gateway.test/base",
        clock=Clock(),
        rules_of=lambda _ours: PartRules(),
        bound=bound,
        telnyx=TelnyxCredentials(api_key=api_key, public_keys=(public_key,), api_url=url),
    )
    return SENDERS[Channel.SMS, "telnyx"](egress)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Both, running."""
    fake = FakeTelnyx(API_KEY)
    fake.callbacks.enabled = False
    sender = sender_for(await fake.start(), fake.events.public_key)
    yield Bench(fake, sender)
    await sender.close()
    await fake.stop()


async def test_a_part_is_sent_with_our_reference(bench: Bench) -> None:
    outcome = await bench.send("Grüße 😀")
    [message] = bench.fake.messages
    assert outcome == Taken(message.sid)
    assert (message.to, message.from_, message.body) == (THEIRS, OURS, "Grüße 😀")
    assert message.status_callback == (
        "http://gateway.test/base/webhooks/telnyx/sms?d=0190a000-0000-7000-8000-0000000000aa&p=0&a=1"
    )


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        (Faults(rate_429=1), Refused(Failure.TRANSIENT, "10011")),
        (Faults(rate_5xx=1), OutcomeUnknown("http_503")),
        (Faults(drop_before=1), OutcomeUnknown("ServerDisconnectedError")),
        (Faults(drop_after_accept=1), OutcomeUnknown("ServerDisconnectedError")),
    ],
)
async def test_what_went_wrong_is_told_apart(bench: Bench, faults: Faults, outcome: object) -> None:
    bench.fake.faults = faults
    found = await bench.send()
    if isinstance(found, OutcomeUnknown) and found.reason.startswith("Client"):
        found = replace(found, reason="ServerDisconnectedError")
    assert found == outcome
    assert len(bench.fake.messages) == faults.drop_after_accept


async def test_a_slow_answer_is_cut_off_and_unknown(bench: Bench) -> None:
    await bench.send()  # its connection is used again
    bench.fake.faults = Faults(delay_probability=1, delay_seconds=60)
    async with asyncio.timeout(30):
        found = await bench.send("Slow", timeout=0.5)
    assert isinstance(found, OutcomeUnknown)
    assert found.reason.endswith("TimeoutError")
    assert [message.body for message in bench.fake.messages] == ["Hello"]


async def test_refusals_keep_telnyx_words(bench: Bench) -> None:
    assert await bench.send(to="+15005550004") == Refused(Failure.OPTED_OUT, "40300")
    assert await bench.send(to="+15005550001") == Refused(Failure.BAD_ADDRESS, "40310")
    assert await bench.send("\ud800") == Refused(Failure.PERMANENT, "not_sendable")


async def test_a_wrong_key_is_our_fault(bench: Bench) -> None:
    sender = sender_for(bench.fake.url, bench.fake.events.public_key, api_key="wrong")
    part = Part(delivery_id="d", index=0, text="Hi", hash="", attempt=1, claimed_at=1)
    assert await sender.send(delivery(), part, 5) == Refused(Failure.CONFIGURATION, "10009")
    await sender.close()


async def test_who_was_never_reached_may_be_tried_again(bench: Bench) -> None:
    await bench.fake.stop()
    outcome = await bench.send()
    assert outcome == Refused(Failure.TRANSIENT, "not_sent")


async def test_a_number_of_each_provider_answers_through_its_own(tmp_path: Path) -> None:
    fake = FakeTelnyx(API_KEY)
    url = await fake.start()
    more = '\n[[addresses]]\nchannel = "sms"\naddress = "+15550180"\nagent = "demo"\nprovider = "telnyx"\n'
    environment = {
        "TELNYX_API_KEY": API_KEY,
        "TELNYX_PUBLIC_KEY": fake.events.public_key,
        "TELNYX_API_URL": url,
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": "unused",
        "TWILIO_API_URL": "http://127.0.0.1:9",
    }
    async with gateway(tmp_path, more=more, **environment) as api:
        fake.webhook_url = api.app.http_url
        assert (await fake.text(THEIRS, "+15550180", "Hello there")).status == 200
        await until(lambda: len(fake.messages) == 1)
        [reply] = fake.messages
        assert (reply.from_, reply.to, reply.body) == ("+15550180", THEIRS, "You said: Hello there")
        conversation = await only_conversation(api)
        receipt = await fake.events.post(
            api.app.http_url + PATH,
            "message.finalized",
            {"id": reply.sid, "to": [{"phone_number": THEIRS, "status": "delivered"}]},
        )
        assert receipt.status == 200
        polled = await api.get(f"{V2}/{conversation}/messages")
        assert [m["delivery_status"] for m in polled.json["messages"]] == [None, "delivered"]
    await fake.stop()


async def test_doctor_looks_at_the_account(bench: Bench, tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(
        '[agents.a]\nkind = "demo"\n'
        '[[addresses]]\nchannel = "sms"\naddress = "+15550180"\nprovider = "telnyx"\n'
    )

    async def verdict(**environ: str) -> tuple[Verdict, str]:
        base = {"TELNYX_API_URL": bench.fake.url}
        settings = load_settings(
            base | environ, config_path=config, data_dir=tmp_path, host="127.0.0.1", port=0
        )
        finding = await check_telnyx(settings)
        return finding.verdict, finding.text

    public = {"TELNYX_PUBLIC_KEY": bench.fake.events.public_key}
    found, text = await verdict(**public, TELNYX_API_KEY=API_KEY)
    assert (found, text.split(":")[0]) == (Verdict.OK, "the API key is taken; +15550180")
    assert "segments_per_second" in text
    config.write_text(config.read_text() + "segments_per_second = 1\n")
    assert await verdict(**public, TELNYX_API_KEY=API_KEY) == (Verdict.OK, "the API key is taken")
    found, text = await verdict(**public, TELNYX_API_KEY="wrong")
    assert (found, "TELNYX_API_KEY" in text, "wrong" in text) == (Verdict.FAIL, True, False)
    assert (await verdict(**public))[0] is Verdict.FAIL
    found, text = await verdict()
    assert (found, "+15550180" in text) == (Verdict.FAIL, True)
    await bench.fake.stop()
    assert (await verdict(**public, TELNYX_API_KEY=API_KEY))[0] is Verdict.FAIL


async def only_conversation(api: Api) -> str:
    """The id of the one there is."""
    [one] = (await api.get(V2)).json["items"]
    return str(one["id"])


async def test_where_one_provider_refuses_the_sender_the_other_takes_over(tmp_path: Path) -> None:
    telnyx, twilio = FakeTelnyx(API_KEY), FakeTwilio("AC" + "0" * 32, "token")
    await telnyx.start()
    more = (
        '\n[[addresses]]\nchannel = "sms"\naddress = "+15005550007"\nagent = "demo"\n'
        'failover = ["+15550181"]\n'
        '\n[[addresses]]\nchannel = "sms"\naddress = "+15550181"\nagent = "demo"\nprovider = "telnyx"\n'
    )
    environment = {
        "TELNYX_API_KEY": API_KEY,
        "TELNYX_PUBLIC_KEY": telnyx.events.public_key,
        "TELNYX_API_URL": telnyx.url,
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": "token",
        "TWILIO_API_URL": await twilio.start(),
    }
    async with gateway(tmp_path, more=more, **environment) as api:
        telnyx.webhook_url = url = api.app.http_url
        twilio.webhook_url = api.app.settings.public_url
        assert (await twilio.text(THEIRS, "+15005550007", "Hello there", via=url)).status == 200
        await until(lambda: len(telnyx.messages) == 1)
        [reply] = telnyx.messages
        assert (reply.from_, reply.to, reply.body) == ("+15550181", THEIRS, "You said: Hello there")
        # the person answers the number that wrote, and is still in the same conversation
        assert (await telnyx.text(THEIRS, "+15550181", "And again")).status == 200
        await until(lambda: len(telnyx.messages) == 2)
        assert telnyx.messages[1].body == "You said: And again"
        conversation = await only_conversation(api)
        found = (await api.get(f"{V2}/{conversation}/messages")).json["messages"]
        assert [m["content"] for m in found][::2] == ["Hello there", "And again"]
        assert not twilio.messages
    await telnyx.stop()
    await twilio.stop()
