"""Sending through the official client against the fake Twilio, which misbehaves on request."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

import pytest

from channels.email.pool import RelayAddress
from channels.email.thread import ThreadMarks
from channels.registry import SENDERS, ChannelSender, Egress, MailEgress
from channels.sms.chunks import Limits
from channels.sms.parts import PartRules
from channels.twilio.client import NewMessage, TwilioRest
from channels.twilio.credentials import TwilioCredentials
from channels.twilio.fake import FakeTwilio, Faults
from gateway.bench.private_server import free_ports
from gateway.domain.clock import SECOND, Clock
from gateway.domain.delivery import (
    Delivery,
    DeliveryState,
    Failure,
    OutcomeUnknown,
    Part,
    PartState,
    Refused,
    Taken,
    Thread,
)
from gateway.domain.message import Channel

ACCOUNT = "AC" + "0" * 32
TOKEN = "token-of-this-test"
OURS = "+15550100"
THEIRS = "+15550123"
SHORT = "72345"
CLOCK = Clock()
PATIENCE = 60.0
"""Seconds for a request that is to be answered."""


def rules_of(ours: str) -> PartRules:
    """One of our numbers sends single segments only."""
    return PartRules(limits=Limits(max_segments=1)) if ours == SHORT else PartRules()


@dataclass
class Bindings:
    """Which messages belong to parts already."""

    bound: set[str] = field(default_factory=set)

    async def __call__(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that do."""
        return self.bound & set(ids)


@dataclass
class Bench:
    """A fake Twilio and a sender that sends to it."""

    fake: FakeTwilio
    sender: ChannelSender
    bindings: Bindings


def sender_for(url: str, bindings: Bindings, *, token: str = TOKEN) -> ChannelSender:
    """The sender of the registry."""
    twilio = TwilioCredentials(account_sid=ACCOUNT, auth_tokens=(token, "old"), api_url=url)
    egress = Egress(
        public_url="http://gateway.test/base",
        clock=CLOCK,
        rules_of=rules_of,
        bound=bindings,
        twilio=twilio,
    )
    return SENDERS[Channel.SMS, "twilio"](egress)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Both, running."""
    fake = FakeTwilio(ACCOUNT, TOKEN)
    fake.callbacks.enabled = False
    url = await fake.start()
    bindings = Bindings()
    sender = sender_for(url, bindings)
    yield Bench(fake, sender, bindings)
    await sender.close()
    await fake.stop()


def delivery(text: str = "Hello", *, to: str = THEIRS, sender: str = OURS) -> Delivery:
    """A reply to bring."""
    return Delivery(
        id="0190a000-0000-7000-8000-0000000000aa",
        lane="lane",
        number=1,
        organization_id="o",
        conversation_id="c",
        message_id="m",
        message_seq=1,
        turn_id="t",
        channel=Channel.SMS,
        sender=sender,
        recipient=to,
        text=text,
        state=DeliveryState.SENDING,
        attempt=1,
        sandboxed=False,
        created_at=0,
        thread=Thread(),
    )


def part(text: str = "Hello", *, index: int = 0, claimed_at: int | None = None) -> Part:
    """A part, claimed just now."""
    return Part(
        delivery_id="0190a000-0000-7000-8000-0000000000aa",
        index=index,
        text=text,
        hash="",
        state=PartState.SENDING,
        attempt=1,
        claimed_at=CLOCK.now() if claimed_at is None else claimed_at,
    )


async def test_a_part_is_sent_once_and_says_where_its_receipts_go(bench: Bench) -> None:
    outcome = await bench.sender.send(delivery(), part("Grüße €\n😀", index=3), PATIENCE)
    [message] = bench.fake.messages
    assert outcome == Taken(message.sid)
    assert (message.to, message.from_, message.body) == (THEIRS, OURS, "Grüße €\n😀")
    callback = urlsplit(message.status_callback)
    assert message.status_callback.startswith("http://gateway.test/base/webhooks/twilio/sms/status?")
    assert parse_qs(callback.query) == {"d": [delivery().id], "p": ["3"], "a": ["1"]}
    assert callback.fragment == "ct=2000&rt=4000&rc=3&rp=all"


async def test_short_codes_are_sent_to_in_twilios_spelling(bench: Bench) -> None:
    outcome = await bench.sender.send(delivery(sender=SHORT, to="whatsapp:+15550123"), part(), PATIENCE)
    assert isinstance(outcome, Taken)
    assert (bench.fake.messages[0].to, bench.fake.messages[0].from_) == ("whatsapp:+15550123", SHORT)


@pytest.mark.parametrize(
    ("to", "sender", "expected"),
    [
        ("+15005550001", OURS, Refused(Failure.BAD_ADDRESS, "21211")),
        ("+15005550002", OURS, Refused(Failure.UNROUTABLE, "21612")),
        ("+15005550003", OURS, Refused(Failure.NOT_ALLOWED, "21408")),
        ("+15005550004", OURS, Refused(Failure.OPTED_OUT, "21610")),
        (THEIRS, "+15005550007", Refused(Failure.CONFIGURATION, "21606")),
        (THEIRS, "+15005550008", Refused(Failure.TRANSIENT, "21611", 120.0)),
    ],
)
async def test_refusals_are_classified(bench: Bench, to: str, sender: str, expected: Refused) -> None:
    assert await bench.sender.send(delivery(to=to, sender=sender), part(), PATIENCE) == expected
    assert not bench.fake.messages


async def test_wrong_credentials_are_our_configuration(bench: Bench) -> None:
    stranger = sender_for(bench.fake.url, bench.bindings, token="wrong")
    assert await stranger.send(delivery(), part(), PATIENCE) == Refused(Failure.CONFIGURATION, "20003")
    await stranger.close()


async def test_a_burst_is_refused_as_transient(bench: Bench) -> None:
    bench.fake.faults = Faults(rate_429=1)
    assert await bench.sender.send(delivery(), part(), PATIENCE) == Refused(Failure.TRANSIENT, "20429")


async def test_a_server_error_is_unknown_and_never_posted_again(bench: Bench) -> None:
    bench.fake.faults = Faults(rate_5xx=1)
    outcome = await bench.sender.send(delivery(), part(), PATIENCE)
    assert outcome in (OutcomeUnknown("http_500"), OutcomeUnknown("http_503"))
    assert await bench.sender.find(delivery(), part()) in (
        OutcomeUnknown("http_500"),
        OutcomeUnknown("http_503"),
    )
    bench.fake.faults = Faults()
    assert await bench.sender.find(delivery(), part()) is None
    assert not bench.fake.messages


async def test_a_lost_answer_is_unknown_and_then_found(bench: Bench) -> None:
    bench.fake.faults = Faults(drop_after_accept=1)
    claimed = part("A reply.")
    assert isinstance(await bench.sender.send(delivery(), claimed, PATIENCE), OutcomeUnknown)
    bench.fake.faults = Faults()
    [message] = bench.fake.messages
    assert await bench.sender.find(delivery(), claimed) == Taken(message.sid)
    assert await bench.sender.find(delivery(), part("Another reply.")) is None
    assert await bench.sender.find(delivery(to="+15550124"), claimed) is None


async def test_a_lost_request_is_unknown_and_then_not_found(bench: Bench) -> None:
    bench.fake.faults = Faults(drop_before=1)
    assert isinstance(await bench.sender.send(delivery(), part(), PATIENCE), OutcomeUnknown)
    bench.fake.faults = Faults()
    assert await bench.sender.find(delivery(), part()) is None


async def test_a_slow_answer_is_cut_off_and_unknown(bench: Bench) -> None:
    await bench.sender.send(delivery(), part(), PATIENCE)  # its connection is used again
    bench.fake.faults = Faults(delay_seconds=60, delay_probability=1)
    async with asyncio.timeout(30):
        assert isinstance(await bench.sender.send(delivery(), part(), 0.5), OutcomeUnknown)


async def test_equal_texts_are_bound_oldest_first_and_once(bench: Bench) -> None:
    for _ in range(2):
        await bench.sender.send(delivery(), part("Yes."), PATIENCE)
    first, second = (message.sid for message in bench.fake.messages)
    assert await bench.sender.find(delivery(), part("Yes.")) == Taken(first)
    bench.bindings.bound = {first}
    assert await bench.sender.find(delivery(), part("Yes.")) == Taken(second)
    bench.bindings.bound = {first, second}
    assert await bench.sender.find(delivery(), part("Yes.")) is None


async def test_what_was_sent_before_the_claim_is_not_this_part(bench: Bench) -> None:
    await bench.sender.send(delivery(), part("Yes."), PATIENCE)
    later = CLOCK.now() + 60 * SECOND
    assert await bench.sender.find(delivery(), part("Yes.", claimed_at=later)) is None
    assert await bench.sender.find(delivery(), replace(part("Yes."), claimed_at=None)) is None


async def test_an_inbound_message_with_the_same_text_is_not_this_part(bench: Bench) -> None:
    bench.fake.webhook_url = "http://127.0.0.1:9"
    with pytest.raises(Exception, match="Client"):
        await bench.fake.text(OURS, THEIRS, "Yes.")
    assert bench.fake.inbound
    assert await bench.sender.find(delivery(), part("Yes.")) is None


async def test_line_ends_and_outer_space_do_not_hide_a_message(bench: Bench) -> None:
    await bench.sender.send(delivery(), part(" One\r\ntwo e\u0301 "), PATIENCE)
    assert isinstance(await bench.sender.find(delivery(), part("One\ntwo \u00e9")), Taken)


async def test_a_text_that_is_not_unicode_is_refused_for_good(bench: Bench) -> None:
    refused = Refused(Failure.PERMANENT, "not_sendable")
    assert await bench.sender.send(delivery(), part("\ud83d"), PATIENCE) == refused


async def test_nobody_there_means_not_sent() -> None:
    (port,) = free_ports(1)
    sender = sender_for(f"http://127.0.0.1:{port}", Bindings())
    assert await sender.send(delivery(), part(), PATIENCE) == Refused(Failure.TRANSIENT, "not_sent")
    assert isinstance(await sender.find(delivery(), part()), OutcomeUnknown)
    await sender.close()


@asynccontextmanager
async def answering(raw: bytes) -> AsyncIterator[str]:
    """A server that answers every request with these bytes and closes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("head", "body", "expected"),
    [
        ("201 Created", "not JSON", OutcomeUnknown("unreadable_answer")),
        ("201 Created", "", OutcomeUnknown("unreadable_answer")),
        ("201 Created", "[]", OutcomeUnknown("unreadable_answer")),
        ("201 Created", '{"sid": null}', OutcomeUnknown("unreadable_answer")),
        ("201 Created", '{"sid": 5}', OutcomeUnknown("unreadable_answer")),
        ("400 Bad Request", "<html>", Refused(Failure.PERMANENT, "400")),
        ("400 Bad Request", "{}", Refused(Failure.PERMANENT, "400")),
        ("400 Bad Request", '{"code": "x"}', Refused(Failure.PERMANENT, "400")),
        ("301 Moved\r\nLocation: http://127.0.0.1:1/", "", Refused(Failure.CONFIGURATION, "301")),
        ("408 Request Timeout", "", OutcomeUnknown("http_408")),
        ("520 Odd", "<html>", OutcomeUnknown("http_520")),
        ("429 Slow\r\nRetry-After: 7", '{"code": 20429}', Refused(Failure.TRANSIENT, "20429", 7.0)),
        ("429 Slow\r\nRetry-After: soon", "", Refused(Failure.TRANSIENT, "20429", None)),
        ("429 Slow\r\nRetry-After: 999999", "", Refused(Failure.TRANSIENT, "20429", 3600.0)),
    ],
)
async def test_odd_answers(head: str, body: str, expected: object) -> None:
    raw = f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
    async with answering(raw) as url:
        sender = sender_for(url, Bindings())
        assert await sender.send(delivery(), part(), PATIENCE) == expected
        await sender.close()


async def test_an_endless_answer_is_cut_off() -> None:
    raw = b"HTTP/1.1 201 Created\r\nContent-Length: 9000000\r\n\r\n" + b" " * 9_000_000
    async with answering(raw) as url:
        sender = sender_for(url, Bindings())
        assert isinstance(await sender.send(delivery(), part(), PATIENCE), OutcomeUnknown)
        await sender.close()


async def test_many_at_once_keep_their_own_outcomes(bench: Bench) -> None:
    numbers = ["+15005550004" if n % 3 else f"+1555{n:07d}" for n in range(60)]
    outcomes = await asyncio.gather(*(bench.sender.send(delivery(to=to), part(), PATIENCE) for to in numbers))
    assert [isinstance(outcome, Taken) for outcome in outcomes] == [n % 3 == 0 for n in range(60)]
    assert len(bench.fake.messages) == 20


async def test_sending_needs_an_account() -> None:
    with pytest.raises(ValueError, match="account"):
        TwilioRest(TwilioCredentials(account_sid=None, auth_tokens=("t",)))


async def test_a_reply_is_cut_by_the_rules_of_our_number(bench: Bench) -> None:
    texts = [one.text for one in bench.sender.split(delivery("**A sentence** with € in it. " * 40))]
    assert len(texts) == 2
    assert not any("*" in text for text in texts)
    assert bench.sender.split(delivery("**A sentence** with € in it. " * 40, sender=SHORT))[0].segments == 1
    assert bench.sender.split(delivery(" \n ")) == []


def test_a_sender_is_not_built_without_what_it_needs() -> None:
    egress = Egress(public_url="http://g", clock=CLOCK, rules_of=rules_of, bound=Bindings())
    assert {(Channel.SMS, "twilio"), (Channel.EMAIL, "smtp")} <= set(SENDERS)
    for build in SENDERS.values():
        with pytest.raises(ValueError, match="needs"):
            build(egress)


async def no_files(organization_id: str, attachment_id: str) -> bytes:
    raise AssertionError("nothing has files here")


async def test_mail_goes_through_the_relay() -> None:
    mail = MailEgress(
        relay=RelayAddress.from_url("smtp://127.0.0.1:25"),
        marks=ThreadMarks(domain="example.org", secrets=(b"s" * 32,)),
        read=no_files,
    )
    egress = Egress(public_url="http://g", clock=CLOCK, rules_of=rules_of, bound=Bindings(), mail=mail)
    sender = SENDERS[Channel.EMAIL, "smtp"](egress)
    assert sender.provider == "smtp"
    await sender.close()


async def test_the_client_reads_nothing_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_EDGE", "sydney")
    monkeypatch.setenv("TWILIO_REGION", "au1")
    fake = FakeTwilio(ACCOUNT, TOKEN)
    rest = TwilioRest(
        TwilioCredentials(account_sid=ACCOUNT, auth_tokens=(TOKEN,), api_url=await fake.start())
    )
    message = NewMessage(to=THEIRS, sender=OURS, body="x", status_callback="", validity_seconds=600)
    assert isinstance(await rest.create_message(message, PATIENCE), Taken)
    await rest.close()
    await fake.stop()
