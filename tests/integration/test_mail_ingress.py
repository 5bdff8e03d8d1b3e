"""The SMTP server over real sockets: what it takes, what it refuses, and that it stays small."""

import asyncio
import smtplib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiosmtplib import SMTPDataError, SMTPRecipientsRefused

from channels.email.auth.sender import BelieveAll, SenderCheck
from channels.email.gate import SessionLimits
from channels.email.intake import NOBODY
from gateway.domain.errors import Unavailable
from gateway.domain.ids import new_id
from gateway.domain.message import Channel, Role, SenderAuth
from tests.integration.mail_server import (
    MAIL,
    MARKS,
    NOW,
    Server,
    data_session,
    mail_server,
    raw_session,
    say,
)

Start = Callable[..., "asyncio.Future[Server]"]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def begin(limits: SessionLimits | None = None, check: SenderCheck | None = None) -> Server:
            return await stack.enter_async_context(mail_server(limits, check))

        yield lambda *args, **kwargs: asyncio.ensure_future(begin(*args, **kwargs))


async def test_a_mail_is_accepted_as_the_message_it_is(start: Start) -> None:
    server = await start()
    quoted = MAIL + "\r\nOn Mon, 2 Nov 2026 at 9:00, Us <support@example.org> wrote:\r\n> Hello\r\n"
    reply = await server.send(quoted.replace("Message-ID", "References: <a@x> <b@x>\r\nMessage-ID"))
    assert reply == "2.0.0 accepted as id1"
    [message] = server.accept.messages
    assert (message.channel, message.provider, message.role) == (Channel.EMAIL, "smtp", Role.USER)
    assert (message.sender, message.recipient) == ("ana@example.com", "support@example.org")
    assert (message.subject, message.text, message.received_at) == ("Bill", "Where is it?", NOW)
    assert message.sender_auth is SenderAuth.UNVERIFIED
    assert message.thread_ids == ("<b@x>", "<a@x>")
    assert message.conversation_id is None
    assert message.provider_message_id.startswith("<m1@example.com>|support@example.org|")
    assert message.metadata["message_id"] == "<m1@example.com>"
    assert message.metadata["full_text"].endswith("> Hello")
    assert message.metadata["kind"] == "human"


async def test_a_repeated_mail_has_the_same_key_and_another_body_another(start: Start) -> None:
    server = await start()
    for raw in (MAIL, "Received: from x\r\n" + MAIL, MAIL + "More\r\n", MAIL.replace("Ana <ana", "Ana <eve")):
        await server.send(raw)
    keys = [message.provider_message_id for message in server.accept.messages]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


async def test_the_standard_library_client_works_with_utf8(start: Start) -> None:
    server = await start()

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", server.port, local_hostname="client") as client:
            client.sendmail(
                "ana@example.com", ["Support@EXAMPLE.org"], MAIL.encode() + "Grüße\r\n.dot\r\n".encode()
            )

    await asyncio.to_thread(send)
    assert server.accept.messages[0].text == "Where is it?\nGrüße\n.dot"


async def test_an_unknown_mailbox_is_refused_and_nothing_is_relayed(start: Start) -> None:
    server = await start()
    for to in ("nobody@example.org", "ana@example.com", "support@example.com"):
        with pytest.raises(SMTPRecipientsRefused) as refused:
            await server.send(MAIL, to)
        assert refused.value.recipients[0].code == 550
        assert refused.value.recipients[0].message.startswith("5.1.1")
    assert not server.accept.messages


async def test_two_recipients_are_two_messages_and_one_mailbox_is_one(start: Start) -> None:
    server = await start()
    await server.send(MAIL, "support@example.org", "sales@example.org", "support+x@example.org")
    assert [message.recipient for message in server.accept.messages] == [
        "support@example.org",
        "sales@example.org",
    ]


async def test_too_many_recipients_are_put_off(start: Start) -> None:
    server = await start(SessionLimits(recipients=2))
    reader, writer = await raw_session(server.port)
    to = b"RCPT TO:<support@example.org>\r\n"
    assert (await say(reader, writer, b"", b"EHLO c\r\n", b"MAIL FROM:<a@x.org>\r\n", to, to)).startswith(
        b"250"
    )
    assert (await say(reader, writer, to)).startswith(b"452 4.5.3")
    writer.close()


async def test_a_reply_address_names_the_conversation(start: Start) -> None:
    server = await start()
    conversation_id = new_id()
    address = MARKS.reply_address(conversation_id, "support@example.org", "ana@example.com", NOW)
    await server.send(MAIL, "support@example.org", address.upper())
    [message] = server.accept.messages
    assert (message.recipient, message.conversation_id) == ("support@example.org", conversation_id)
    assert message.sender_auth is SenderAuth.REPLY_TOKEN


async def test_a_mail_of_which_nothing_can_be_read_is_kept_for_a_person(start: Start) -> None:
    server = await start()
    unreadable = "X: y\r\n" * 60_000 + "\r\nHello"
    assert await server.send(unreadable) == "2.0.0 accepted as id1"
    assert await server.send(unreadable, sender="") == "2.0.0 accepted as id2"
    first, second = server.accept.messages
    assert (first.unreadable, first.role, first.sender) == (True, Role.SYSTEM_EVENT, "ana@example.com")
    assert (second.unreadable, second.sender) == (True, NOBODY)
    assert first.original is not None
    await server.send(MAIL)
    assert not server.accept.messages[-1].unreadable


@pytest.mark.parametrize(("theirs", "made_at"), [("eve@example.com", NOW), ("ana@example.com", NOW - 10**15)])
async def test_a_reply_address_of_another_or_an_expired_one_is_only_a_subaddress(
    start: Start, theirs: str, made_at: int
) -> None:
    server = await start()
    await server.send(MAIL, MARKS.reply_address(new_id(), "support@example.org", theirs, made_at))
    [message] = server.accept.messages
    assert (message.recipient, message.conversation_id) == ("support@example.org", None)
    assert message.sender_auth is SenderAuth.UNVERIFIED


async def test_a_message_id_of_ours_names_the_conversation_but_proves_nobody(start: Start) -> None:
    server = await start()
    conversation_id = new_id()
    own = MARKS.message_id(conversation_id, new_id())
    await server.send(f"In-Reply-To: {own}\r\n{MAIL}")
    [message] = server.accept.messages
    assert (message.conversation_id, message.sender_auth) == (conversation_id, SenderAuth.UNVERIFIED)


async def test_with_authentication_off_the_from_header_is_believed(start: Start) -> None:
    server = await start(check=BelieveAll())
    await server.send(MAIL)
    await server.send(MAIL.replace("From: Ana", "From: eve@example.com, Ana"))
    assert [(m.sender, m.sender_auth) for m in server.accept.messages] == [
        ("ana@example.com", SenderAuth.VERIFIED),
        ("ana@example.com", SenderAuth.UNVERIFIED),
    ]


async def test_a_mail_without_any_sender_is_refused(start: Start) -> None:
    server = await start()
    with pytest.raises(SMTPDataError) as refused:
        await server.send("Subject: x\r\n\r\nx\r\n", sender="")
    assert (refused.value.code, refused.value.message[:5]) == (550, "5.6.0")


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("Auto-Submitted: auto-replied", "auto_reply"),
        ("List-Id: <l.example.com>", "list"),
        ("X-Loop: example.org", "auto_reply"),
        ("Content-Type: multipart/report; report-type=delivery-status", "bounce"),
    ],
)
async def test_machines_are_heard_but_not_answered(start: Start, header: str, kind: str) -> None:
    server = await start()
    assert (await server.send(f"{header}\r\n{MAIL}")).startswith("2.0.0 accepted")
    [message] = server.accept.messages
    assert (message.role, message.metadata["kind"]) == (Role.SYSTEM_EVENT, kind)


async def test_our_own_mail_coming_back_is_not_answered(start: Start) -> None:
    server = await start()
    await server.send(MAIL.replace("ana@example.com", "sales@example.org"))
    assert server.accept.messages[0].role is Role.SYSTEM_EVENT


async def test_a_mail_that_went_in_circles_is_refused(start: Start) -> None:
    server = await start()
    with pytest.raises(SMTPDataError, match=r"5\.4\.6"):
        await server.send("Received: from x\r\n" * 26 + MAIL)


def unavailable() -> None:
    raise Unavailable("the database is away")


def broken() -> None:
    raise RuntimeError("secret text")


@pytest.mark.parametrize("fault", [unavailable, broken])
async def test_our_faults_are_retryable_and_tell_nothing(start: Start, fault: Callable[[], None]) -> None:
    server = await start()
    server.accept.fail = fault
    with pytest.raises(SMTPDataError) as refused:
        await server.send(MAIL)
    assert refused.value.code == 451
    assert "secret" not in refused.value.message
    server.accept.fail = lambda: None
    assert (await server.send(MAIL)).startswith("2.0.0 accepted")


async def test_storing_has_a_time_limit(start: Start) -> None:
    server = await start(SessionLimits(work_seconds=0.05))
    server.accept.waiting = asyncio.Event()
    with pytest.raises(SMTPDataError) as refused:
        await server.send(MAIL)
    assert refused.value.code == 451


SMUGGLED = b"MAIL FROM:<evil@example.com>\r\n"


@pytest.mark.parametrize(
    "end",
    [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\n\x00.\r\n", b"\r\n.\x00\r\n"],
)
async def test_only_crlf_dot_crlf_ends_a_mail(start: Start, end: bytes) -> None:
    server = await start()
    reader, writer = await data_session(server.port)
    reply = await say(reader, writer, MAIL.encode() + b"one" + end + SMUGGLED + b"\r\n.\r\n")
    bare = b"\x00" not in end
    assert reply.startswith(b"550 5.6.0" if bare else b"250 2.0.0")
    assert len(server.accept.messages) == (not bare)
    assert (await say(reader, writer, b"NOOP\r\n")).startswith(b"250")
    writer.close()


async def test_dots_and_long_lines_arrive_as_sent(start: Start) -> None:
    server = await start()
    reader, writer = await data_session(server.port)
    long = b"." + b"x" * 150_000
    reply = await say(reader, writer, MAIL.encode() + b"..a\r\n" + b"." + long + b"\r\n...\r\n.\r\n")
    assert reply.startswith(b"250")
    assert server.accept.messages[0].text == f"Where is it?\n.a\n{long.decode()}\n.."
    writer.close()


async def test_an_empty_mail_is_no_lost_session(start: Start) -> None:
    server = await start()
    reader, writer = await data_session(server.port)
    assert (await say(reader, writer, b".\r\n")).startswith(b"250")
    assert server.accept.messages[0].sender_auth is SenderAuth.UNVERIFIED
    writer.close()


async def test_an_oversized_mail_is_refused_and_the_session_goes_on(start: Start) -> None:
    server = await start(SessionLimits(mail_bytes=100_000))
    reader, writer = await data_session(server.port)
    reply = await say(reader, writer, b"x\r\n" * 35_000 + b".\r\n")
    assert reply.startswith(b"552 5.3.4")
    assert (await say(reader, writer, b"NOOP\r\n")).startswith(b"250")
    assert (await say(reader, writer, b"MAIL FROM:<a@x.org> SIZE=100001\r\n")).startswith(b"552")
    writer.close()


def resident_bytes() -> int:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("chunk", [b"x" * 65_536, b"x" * 76 + b"\r\n" * 100], ids=["one line", "lines"])
async def test_memory_is_bounded_whatever_is_sent(start: Start, chunk: bytes) -> None:
    server = await start(SessionLimits(mail_bytes=4_000_000))
    _, writer = await data_session(server.port)
    before, most, sent = resident_bytes(), 0, 0
    try:
        while sent < 60_000_000:
            writer.write(chunk)
            await writer.drain()
            sent += len(chunk)
            most = max(most, resident_bytes())
    except ConnectionError:
        pass
    assert sent < 30_000_000, "the session was not cut off"
    assert most - before < 20_000_000
    writer.close()


async def test_all_mails_together_are_bounded(start: Start) -> None:
    server = await start(SessionLimits(held_bytes=100_000))
    reader, writer = await data_session(server.port)
    assert (await say(reader, writer, b"x\r\n" * 40_000 + b".\r\n")).startswith(b"451 4.3.1")
    writer.close()
    for _ in range(3):
        assert (await server.send(MAIL + "x" * 60_000)).startswith("2.0.0 accepted")


async def test_connections_are_bounded_in_all_and_per_address(start: Start) -> None:
    for limits in (
        SessionLimits(connections=2),
        SessionLimits(connections_per_address=2, unlimited_addresses=frozenset()),
    ):
        server = await start(limits)
        open_sessions = [await raw_session(server.port) for _ in range(2)]
        for reader, _ in open_sessions:
            assert (await reader.readline()).startswith(b"220 example.org")
        reader, writer = await raw_session(server.port)
        assert (await reader.read()).startswith(b"421 4.")
        writer.close()
        first_reader, first_writer = open_sessions.pop()
        assert (await say(first_reader, first_writer, b"QUIT\r\n")).startswith(b"221")
        assert await first_reader.read() == b""
        assert (await server.send(MAIL)).startswith("2.0.0 accepted")
        for _, writer in [*open_sessions, (first_reader, first_writer)]:
            writer.close()


async def test_a_session_has_an_end(start: Start) -> None:
    server = await start(SessionLimits(session_seconds=0.1))
    reader, writer = await raw_session(server.port)
    assert b"421 4.4.2" in await reader.read()
    writer.close()


async def test_stopping_ends_idle_sessions_and_lets_a_mail_finish(start: Start) -> None:
    server = await start()
    server.accept.waiting = asyncio.Event()
    idle, idle_writer = await raw_session(server.port)
    await idle.readline()
    reader, writer = await data_session(server.port)
    answer = asyncio.create_task(say(reader, writer, MAIL.encode() + b".\r\n"))
    await server.accept.entered.wait()
    stopping = asyncio.create_task(server.mail.stop(60))
    assert (await idle.read()).startswith(b"421 4.3.2")
    server.accept.waiting.set()
    assert (await answer).startswith(b"250 2.0.0")
    assert (await reader.read()).startswith(b"421 4.3.2")
    async with asyncio.timeout(60):
        await stopping
    with pytest.raises(OSError, match="Connect"):
        await raw_session(server.port)
    for open_writer in (idle_writer, writer):
        open_writer.close()


async def test_stopping_cuts_a_mail_that_takes_too_long(start: Start) -> None:
    server = await start()
    server.accept.waiting = asyncio.Event()
    reader, writer = await data_session(server.port)
    answer = asyncio.create_task(say(reader, writer, MAIL.encode() + b".\r\n"))
    await server.accept.entered.wait()
    async with asyncio.timeout(60):
        await server.mail.stop(0.05)
    assert (await answer).startswith(b"421 4.3.2")
    assert not server.accept.messages
    writer.close()
