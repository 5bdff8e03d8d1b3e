"""Mail out over real sockets: what each answer of a relay means, and how connections are kept."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from channels.email.fake import SmtpSink
from channels.email.pool import MAX_CONNECTIONS, MAX_MAILS, RelayAddress, SmtpPool
from channels.email.relay import SmtpRelay
from channels.email.sign import DkimSigner, key_record
from channels.email.thread import ThreadMarks
from gateway.domain.delivery import (
    Delivery,
    DeliveryState,
    Failure,
    OutcomeUnknown,
    Part,
    PartText,
    Refused,
    SendOutcome,
    Taken,
    Thread,
)
from gateway.domain.errors import FileMissing, Unavailable
from gateway.domain.ids import new_id
from gateway.domain.message import Attachment, Channel

MARKS = ThreadMarks("example.org", (b"secret",))


class Files:
    """The files that replies carry."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.away = False

    async def read(self, organization_id: str, attachment_id: str) -> bytes:
        if self.away:
            raise Unavailable("away")
        if attachment_id not in self.contents:
            raise FileMissing(attachment_id)
        return self.contents[attachment_id]


FILES = Files()


def delivery(recipient: str = "ana@example.com") -> Delivery:
    return Delivery(
        id=new_id(),
        lane="lane",
        number=1,
        organization_id=new_id(),
        conversation_id=new_id(),
        message_id=new_id(),
        message_seq=1,
        turn_id=None,
        channel=Channel.EMAIL,
        sender="support@example.org",
        recipient=recipient,
        text="Hello\n.dot",
        state=DeliveryState.PENDING,
        attempt=0,
        sandboxed=False,
        created_at=1_795_424_400_000_000,
        thread=Thread(subject="Bill", in_reply_to="<a@x>", references=()),
    )


def relay_to(url: str, idle_seconds: float = 30.0) -> SmtpRelay:
    return SmtpRelay(
        SmtpPool(RelayAddress.from_url(url), "example.org", idle_seconds=idle_seconds), MARKS, FILES.read
    )


async def send(relay: SmtpRelay, what: Delivery, timeout: float = 60.0) -> SendOutcome:
    [text] = relay.split(what)
    part = Part(delivery_id=what.id, index=0, text=text.text, hash="")
    return await relay.send(what, part, timeout)


@pytest.fixture
async def sink() -> AsyncIterator[SmtpSink]:
    sink = SmtpSink()
    await sink.start()
    yield sink
    await sink.stop()


@pytest.fixture
async def relay(sink: SmtpSink) -> AsyncIterator[SmtpRelay]:
    relay = relay_to(sink.url)
    yield relay
    await relay.close()


class Scripted:
    """An SMTP server that says what it is told to, line by line; None closes the connection."""

    def __init__(self, *sessions: Sequence[str | None]) -> None:
        self.sessions = list(sessions)
        self.commands: list[str] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"smtp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        for reply in self.sessions.pop(0):
            if reply is None:
                writer.close()
                return
            writer.write(reply.encode() + b"\r\n")
            line = await reader.readline()
            self.commands.append(line.decode().strip())
            if reply.startswith("354"):
                while line not in (b".\r\n", b""):
                    line = await reader.readline()


async def test_a_reply_is_signed_as_it_is_sent_twice(sink: SmtpSink) -> None:
    key = generate_private_key(public_exponent=65_537, key_size=1_024)
    signer = DkimSigner("example.org", "s1", key)
    relay = SmtpRelay(SmtpPool(RelayAddress.from_url(sink.url), "example.org"), MARKS, FILES.read, signer)
    what = delivery()
    for _ in range(2):
        assert isinstance(await send(relay, what), Taken)
    await relay.close()
    one, two = (mail.raw for mail in sink.mails)
    assert one == two
    record = key_record(key).encode()
    assert dkim.verify(one, dnsfunc=lambda name, timeout=5: record)


async def test_a_reply_is_taken_and_arrives(sink: SmtpSink, relay: SmtpRelay) -> None:
    what = delivery()
    message_id = MARKS.message_id(what.conversation_id, what.message_id)
    assert await send(relay, what) == Taken(message_id)
    [mail] = sink.mails
    assert (mail.mail_from, mail.rcpt_tos) == (MARKS.return_path(what.id), ("ana@example.com",))
    assert mail.headers["Message-ID"] == message_id
    assert mail.headers["Subject"] == "Re: Bill"
    body = mail.headers.get_body(("plain",))
    assert body is not None
    assert body.get_content() == "Hello\r\n.dot\r\n"
    assert relay.provider == "smtp"
    assert list(relay.split(what)) == [PartText(what.text)]


async def test_a_reply_carries_its_files(sink: SmtpSink, relay: SmtpRelay) -> None:
    file = Attachment(id=new_id(), media_type="application/pdf", size=4, name="Rechnung März.pdf", url="u")
    what = replace(delivery(), attachments=(file,))
    assert await send(relay, what) == Refused(Failure.PERMANENT, "attachment_missing")
    FILES.contents[file.id] = content = bytes(range(256)) * 50
    FILES.away = True
    assert await send(relay, what) == Refused(Failure.TRANSIENT, "not_sent")
    FILES.away = False
    assert isinstance(await send(relay, what), Taken)
    (mail,) = sink.mails
    (part,) = mail.headers.iter_attachments()
    assert (part.get_filename(), part.get_content_type()) == ("Rechnung März.pdf", "application/pdf")
    assert part.get_payload(decode=True) == content
    body = mail.headers.get_body(("plain",))
    assert body is not None
    assert body.get_content() == "Hello\r\n.dot\r\n"


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ("550 5.1.1 No such user", Refused(Failure.BAD_ADDRESS, "550 5.1.1")),
        ("550 5.1.10 Null MX", Refused(Failure.BAD_ADDRESS, "550 5.1.10")),
        ("550 5.2.1 Disabled", Refused(Failure.BAD_ADDRESS, "550 5.2.1")),
        ("550 5.7.1 Policy", Refused(Failure.PERMANENT, "550 5.7.1")),
        ("550 5.1.100 Whatever", Refused(Failure.PERMANENT, "550 5.1.100")),
        ("554 No", Refused(Failure.PERMANENT, "554")),
        ("451 4.7.1 Greylisted", Refused(Failure.TRANSIENT, "451 4.7.1")),
        ("530 5.7.0 Authenticate first", Refused(Failure.CONFIGURATION, "530 5.7.0")),
    ],
)
async def test_a_refused_recipient(sink: SmtpSink, relay: SmtpRelay, reply: str, outcome: Refused) -> None:
    sink.refusals["ana@example.com"] = reply
    assert await send(relay, delivery()) == outcome
    assert isinstance(await send(relay, delivery("bob@example.com")), Taken)


async def test_a_mail_refused_after_its_data(sink: SmtpSink, relay: SmtpRelay) -> None:
    sink.fail_next(1, "452 4.3.1 Full")
    sink.fail_next(1, "554 5.6.0 Spam")
    assert await send(relay, delivery()) == Refused(Failure.TRANSIENT, "452 4.3.1")
    assert await send(relay, delivery()) == Refused(Failure.PERMANENT, "554 5.6.0")
    assert not sink.mails


async def test_no_relay_means_not_sent(sink: SmtpSink) -> None:
    url = sink.url
    await sink.stop()
    assert await send(relay_to(url), delivery()) == Refused(Failure.TRANSIENT, "not_sent")


async def test_a_connection_lost_after_the_final_dot_is_unknown(sink: SmtpSink, relay: SmtpRelay) -> None:
    sink.drop_next()
    what = delivery()
    assert isinstance(await send(relay, what), OutcomeUnknown)
    again = await send(relay, what)
    assert isinstance(again, Taken)
    assert [mail.headers["Message-ID"] for mail in sink.mails] == [again.provider_message_id] * 2
    assert sink.mails[0].raw == sink.mails[1].raw


async def test_silence_after_the_final_dot_is_unknown(sink: SmtpSink, relay: SmtpRelay) -> None:
    sink.delay_seconds = 120
    outcomes: list[SendOutcome] = []
    for patience in (0.3, 3.0, 30.0):  # until it was enough to come as far as the dot
        outcomes.append(await send(relay, delivery(), timeout=patience))
        if isinstance(outcomes[-1], OutcomeUnknown):
            break
    assert isinstance(outcomes[-1], OutcomeUnknown)


GREETED = ("220 hi", "250 hi")


@pytest.mark.parametrize(
    ("session", "outcome"),
    [
        ((None,), Refused(Failure.TRANSIENT, "not_sent")),
        (("554 go away",), Refused(Failure.TRANSIENT, "not_sent")),
        (("220 hi", None), Refused(Failure.TRANSIENT, "not_sent")),
        ((*GREETED, None), Refused(Failure.TRANSIENT, "not_sent")),
        ((*GREETED, "250 ok", None), Refused(Failure.TRANSIENT, "not_sent")),
        ((*GREETED, "250 ok", "250 ok", None), Refused(Failure.TRANSIENT, "not_sent")),
        ((*GREETED, "250 ok", "250 ok", "421 4.3.2 bye"), Refused(Failure.TRANSIENT, "421 4.3.2")),
        ((*GREETED, "550 5.7.1 not you", None), Refused(Failure.PERMANENT, "550 5.7.1")),
        ((*GREETED, "250 ok", "250 ok", "354 go", None), OutcomeUnknown("SMTPServerDisconnected")),
        ((*GREETED, "250 ok", "250 ok", "354 go", "what?"), OutcomeUnknown("SMTPResponseException")),
    ],
)
async def test_wherever_a_session_breaks(session: Sequence[str | None], outcome: SendOutcome) -> None:
    server = Scripted(session)
    relay = relay_to(await server.start())
    assert await send(relay, delivery()) == outcome
    await relay.close()
    await server.stop()


async def test_a_relay_that_says_nothing_is_left_in_time() -> None:
    server = Scripted([""])
    relay = relay_to(await server.start())
    async with asyncio.timeout(60):
        assert await send(relay, delivery(), timeout=0.2) == Refused(Failure.TRANSIENT, "not_sent")
    await server.stop()


async def test_a_kept_connection_that_has_ended_is_replaced() -> None:
    ok = (*GREETED, "250 ok", "250 ok", "354 go", "250 taken")
    server = Scripted([*ok, "421 4.4.2 idle too long", None], [*ok, None])
    relay = relay_to(await server.start())
    assert isinstance(await send(relay, delivery()), Taken)
    assert isinstance(await send(relay, delivery()), Taken)
    assert [command[:4] for command in server.commands if command].count("RSET") == 1
    assert server.commands.count("DATA") == 2
    await relay.close()
    await server.stop()


async def no_sessions(sink: SmtpSink) -> None:
    for _ in range(6_000):
        if not sink._sessions:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("a session is still open")


async def test_connections_are_few_and_used_again(sink: SmtpSink, relay: SmtpRelay) -> None:
    sink.delay_seconds = 0.01
    outcomes = await asyncio.gather(*(send(relay, delivery()) for _ in range(40)))
    assert all(isinstance(outcome, Taken) for outcome in outcomes)
    assert len(sink._sessions) == MAX_CONNECTIONS


async def test_a_connection_carries_no_more_than_a_hundred_mails(sink: SmtpSink, relay: SmtpRelay) -> None:
    for _ in range(MAX_MAILS):
        await send(relay, delivery())
    await no_sessions(sink)
    assert isinstance(await send(relay, delivery()), Taken)
    assert len(sink._sessions) == 1


async def test_an_idle_connection_is_closed(sink: SmtpSink) -> None:
    relay = relay_to(sink.url, idle_seconds=0.05)
    await send(relay, delivery())
    assert len(sink._sessions) == 1
    await no_sessions(sink)
    await relay.close()


async def test_addresses(sink: SmtpSink, relay: SmtpRelay) -> None:
    assert await send(relay, delivery("a@x.org>\r\nRCPT TO:<b@x.org")) == Refused(
        Failure.BAD_ADDRESS, "not_a_mailbox"
    )
    assert isinstance(await send(relay, delivery("josé@example.com")), Taken)
    assert sink.mails[0].rcpt_tos == ("josé@example.com",)
    assert isinstance(await send(relay, replace(delivery(), recipient="bob@example.com")), Taken)


async def test_an_address_beyond_ascii_needs_a_relay_that_takes_it() -> None:
    server = Scripted([*GREETED, None])
    relay = relay_to(await server.start())
    assert await send(relay, delivery("josé@example.com")) == Refused(
        Failure.PERMANENT, "smtputf8_not_offered"
    )
    await relay.close()
    await server.stop()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://h", RelayAddress("h", 25, False, False, None, None)),
        ("smtps://h:4650", RelayAddress("h", 4650, True, False, None, None)),
        ("smtp+starttls://a%40b:p%3Aw@h", RelayAddress("h", 587, False, True, "a@b", "p:w")),
    ],
)
def test_relay_urls(url: str, expected: RelayAddress) -> None:
    assert RelayAddress.from_url(url) == expected
    assert "p:w" not in repr(expected)


@pytest.mark.parametrize("url", ["http://h", "smtp://", "h:25"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="a relay is written"):
        RelayAddress.from_url(url)
