"""Mail through a whole gateway, asked and answered over sockets: who is believed, and how replies thread."""

import asyncio
import hmac
import json
import smtplib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import make_msgid, parseaddr
from io import BytesIO
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import aiohttp
import pytest

from channels.email.fake import SmtpSink, SunkMail
from gateway.app import App, Role
from gateway.domain.agent import TurnRequest
from tests.fake_dns import FakeDns, Record, fake_dns
from tests.integration import api_agents
from tests.integration.in_process import in_process
from tests.integration.mail_clients import gmail_keeps, jwz_threads, outlook_keeps

ANA, EVE, OURS = "ana@example.com", "eve@evil.net", "support@example.org"
ZONE: dict[str, list[Record]] = {
    "example.com": [("TXT", "v=spf1 ip4:127.0.0.1 -all")],
    "evil.net": [("TXT", "v=spf1 ip4:127.0.0.1 -all")],
}
CONFIG = f"""
[organisation]
name = "Here"

[[addresses]]
channel = "email"
address = "{OURS}"
from_name = "The Shop"

[agents.steered]
kind = "python"
target = "tests.integration.api_agents:steered"
"""
_POLICY = SMTP_POLICY.clone(max_line_length=998)


@dataclass
class Post:
    """A gateway with a mail domain, its DNS, and where its replies arrive."""

    app: App
    dns: FakeDns
    sink: SmtpSink
    asked: list[TurnRequest]
    _seen: dict[str, int] = field(default_factory=dict)

    async def send(self, mail: EmailMessage, mail_from: str = ANA) -> None:
        await asyncio.to_thread(self._send, mail, mail_from)

    def _send(self, mail: EmailMessage, mail_from: str) -> None:
        with smtplib.SMTP("127.0.0.1", self.app.smtp_port or 0, local_hostname="c.example.net") as client:
            client.sendmail(mail_from, parseaddr(str(mail["To"]))[1], mail.as_bytes(policy=_POLICY))

    async def reply(self, to: str = ANA) -> SunkMail:
        """The next reply to somebody."""
        number = self._seen.get(to, 0)
        async with asyncio.timeout(60):
            while len(found := [m for m in self.sink.mails if m.rcpt_tos == (to,)]) <= number:
                await self.sink.wait_for(len(self.sink.mails) + 1, 60)
        self._seen[to] = number + 1
        return found[number]


@asynccontextmanager
async def post_office(folder: Path, **environment: str) -> AsyncIterator[Post]:
    steering = api_agents.reset()
    sink = SmtpSink()
    async with fake_dns(ZONE) as dns:
        environ = {
            "GATEWAY_MAIL_DOMAIN": "example.org",
            "GATEWAY_SMTP_PORT": "0",
            "GATEWAY_SMTP_RELAY_URL": await sink.start(),
            "GATEWAY_DNS_SERVER": f"127.0.0.1:{dns.port}",
            "GATEWAY_DRAIN_SECONDS": "2",
            "GATEWAY_API_KEYS": "k:admin",
            **environment,
        }
        async with in_process(folder, CONFIG, environ, port=0, roles=frozenset(Role)) as app:
            yield Post(app, dns, sink, steering.asked)
    await sink.stop()


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    async with post_office(tmp_path) as office:
        yield office


def mail(text: str, to: str = OURS, sender: str = ANA, subject: str = "Order 1001") -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, to, subject
    made["Message-ID"] = make_msgid(domain=sender.partition("@")[2])
    made.set_content(text)
    return made


def answer_to(reply: SunkMail, text: str, sender: str = ANA) -> EmailMessage:
    """As a mail client answers."""
    made = mail(text, str(reply.headers["Reply-To"]), sender, str(reply.headers["Subject"]))
    made["In-Reply-To"] = reply.headers["Message-ID"]
    made["References"] = f"{reply.headers['References']} {reply.headers['Message-ID']}"
    return made


def text_of(turn: TurnRequest) -> Sequence[str]:
    return [message.content for message in turn.messages]


async def test_a_forged_sender_gets_nothing_of_the_person_it_claims_to_be(post: Post) -> None:
    await post.send(mail("My secret is 4711."))
    await post.reply()
    known = post.asked[-1].end_user_id
    await post.send(mail("What is my secret?"), mail_from=EVE)
    await post.reply()
    forged = post.asked[-1]
    assert [text.strip() for text in text_of(forged)] == ["What is my secret?"]
    assert forged.end_user_id != known
    assert forged.conversation_id != post.asked[0].conversation_id
    assert not forged.memory
    await post.send(mail("And mine?"))
    await post.reply()
    assert post.asked[-1].end_user_id == known


async def test_a_forged_answer_does_not_enter_the_thread_it_names(post: Post) -> None:
    await post.send(mail("My secret is 4711."))
    reply = await post.reply()
    assert reply.headers["From"] == f"The Shop <{OURS}>"
    forged = answer_to(reply, "What is my secret?")
    forged.replace_header("To", OURS)
    await post.send(forged, mail_from=EVE)
    await post.reply()
    assert post.asked[-1].conversation_id != post.asked[0].conversation_id
    assert len(post.asked[-1].messages) == 1


async def test_a_reply_to_header_is_nobodys_identity(post: Post) -> None:
    await post.send(mail("Hello"))
    await post.reply()
    evil = mail("It is me.", sender=EVE)
    evil["Reply-To"] = ANA
    await post.send(evil, mail_from=EVE)
    await post.reply(EVE)
    assert post.asked[-1].end_user_id != post.asked[0].end_user_id


async def test_who_answers_our_mail_from_a_domain_without_rules_stays_in_the_thread(post: Post) -> None:
    bob = "bob@norules.net"
    await post.send(mail("First", sender=bob), mail_from=bob)
    for text in ("Second", "Third"):
        await post.send(answer_to(await post.reply(bob), text, bob), mail_from=bob)
    await post.reply(bob)
    assert len({turn.conversation_id for turn in post.asked}) == 1
    assert len(post.asked[-1].messages) == 5


async def test_the_rules_of_a_domain_are_kept(post: Post) -> None:
    post.dns.add({"_dmarc.example.com": [("TXT", "v=DMARC1; p=reject")]})
    with pytest.raises(smtplib.SMTPDataError) as refused:
        await post.send(mail("It is me."), mail_from=EVE)
    assert refused.value.smtp_code == 550
    await post.send(mail("It is me."))
    await post.reply()
    assert len(post.asked) == 1


SUBJECT = "Your order № 1001: where is it? (long enough to be folded by anybody who folds headers at 78)"


async def test_five_rounds_are_one_thread_in_every_mail_program(post: Post) -> None:
    thread = [mail("Round 1", subject=SUBJECT)]
    await post.send(thread[0])
    for number in range(2, 7):
        reply = await post.reply()
        assert gmail_keeps(thread, reply.headers)
        assert outlook_keeps(thread, reply.headers)
        assert str(reply.headers["Subject"]) == f"Re: {SUBJECT}"
        assert reply.headers["Auto-Submitted"] == "auto-replied"
        assert reply.headers["X-Auto-Response-Suppress"] == "All"
        assert reply.mail_from.startswith("bounces+")
        thread.append(reply.headers)
        if number < 6:
            thread.append(answer_to(reply, f"Round {number}"))
            await post.send(thread[-1])
    assert jwz_threads(thread) == [[str(one["Message-ID"]) for one in thread]]
    assert len({turn.conversation_id for turn in post.asked}) == 1
    assert len(post.asked[-1].messages) == 9


async def test_a_bounce_shows_with_its_message_and_stops_the_next(post: Post) -> None:
    await post.send(mail("Hello"))
    reply = await post.reply()
    bounce = mail("No such user.", reply.mail_from, "mailer-daemon@example.com", "Undelivered mail")
    bounce["Auto-Submitted"] = "auto-replied"
    bounce["X-Failed-Recipients"] = ANA
    bounce.set_content(f"<{ANA}>: 550 5.1.1 no such user")
    await post.send(bounce, mail_from="<>")
    await until_statuses(post, ["failed"])
    await operator_writes(post, "Can you read this?")
    await until_statuses(post, ["failed", "failed"])
    assert len(post.sink.mails) == 1
    await post.send(answer_to(reply, "Now I can."))
    await operator_writes(post, "Good.")
    await until_statuses(post, ["failed", "failed", "sent"])


async def operator_writes(post: Post, text: str) -> None:
    url = f"{post.app.http_url}/v1/conversations/{post.asked[0].conversation_id}/human-turns"
    said = {"content": text, "take_over": True}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, headers={"x-api-key": "k"}, json=said) as answer,
    ):
        assert answer.status == 200, await answer.text()


async def until_statuses(post: Post, wanted: list[str]) -> None:
    async with asyncio.timeout(60):
        while await statuses(post) != wanted:  # noqa: ASYNC110 - only the API tells
            await asyncio.sleep(0.05)


async def statuses(post: Post) -> list[str | None]:
    """How the replies stand in the first conversation."""
    url = f"{post.app.http_url}/v1/conversations/{post.asked[0].conversation_id}/messages"
    async with aiohttp.ClientSession() as session, session.get(url, headers={"x-api-key": "k"}) as answer:
        found = (await answer.json())["messages"]
    return [m["delivery_status"] for m in found if m["role"] == "assistant"]


async def test_what_the_agent_attaches_arrives_and_is_shown(post: Post) -> None:
    await post.send(mail("My invoice, please."))
    reply = await post.reply()
    (part,) = reply.headers.iter_attachments()
    assert (part.get_filename(), part.get_content()) == ("invoice.pdf", b"%PDF-1.7")
    key = {"x-api-key": "k"}
    url = f"{post.app.http_url}/v1/conversations/{post.asked[0].conversation_id}/messages"
    async with aiohttp.ClientSession(headers=key) as session:
        async with session.get(url) as answer:
            (shown,) = (await answer.json())["messages"][-1]["metadata"]["attachments"]
        assert (shown["name"], shown["media_type"], shown["size"]) == ("invoice.pdf", "application/pdf", 8)
        async with session.get(f"{post.app.http_url}{urlsplit(shown['url']).path}") as answer:
            assert await answer.read() == b"%PDF-1.7"
    await post.send(answer_to(reply, "Thanks"))
    await post.reply()
    assert [a.name for m in post.asked[-1].messages for a in m.attachments] == ["invoice.pdf"]


async def test_a_reply_that_is_put_off_holds_up_no_later_one(post: Post) -> None:
    post.sink.fail_next(1, "451 4.7.1 Greylisted, come again")
    first, second = mail("First"), mail("Second")
    second["In-Reply-To"] = second["References"] = first["Message-ID"]
    await post.send(first)
    async with asyncio.timeout(60):
        while not post.asked or not await statuses(post):  # noqa: ASYNC110 - only the API tells
            await asyncio.sleep(0.05)
    await post.send(second)
    reply = await post.reply()
    assert reply.headers["In-Reply-To"] == second["Message-ID"]
    assert len({turn.conversation_id for turn in post.asked}) == 1
    await until_statuses(post, ["pending", "sent"])


@pytest.mark.parametrize("provider", ["postmark", "mailgun/mime"])
async def test_a_mail_by_webhook_may_have_large_files_but_no_request_of_a_stranger(
    tmp_path: Path, provider: str
) -> None:
    photo = mail("Where is it?")
    photo.add_attachment(b"\x89PNG" * 400_000, maintype="image", subtype="png", filename="photo.png")
    raw = photo.as_bytes(policy=_POLICY).decode("ascii")
    environ = {
        "GATEWAY_MAILGUN_SIGNING_KEY": "key",
        "GATEWAY_MAILGUN_WEBHOOK_LOGIN": "provider:secret",
        "GATEWAY_POSTMARK_WEBHOOK_LOGIN": "provider:secret",
    }
    timestamp = str(int(time.time()))
    signature = hmac.new(b"key", f"{timestamp}t1".encode(), "sha256").hexdigest()
    form = {"body-mime": raw, "recipient": OURS, "sender": ANA}
    form |= {"timestamp": timestamp, "token": "t1", "signature": signature}
    posted, declared, refused = urlencode(form).encode(), "application/x-www-form-urlencoded", 413
    if provider == "postmark":
        posted = json.dumps({"RawEmail": raw, "OriginalRecipient": OURS}).encode()
        declared, refused = "application/json", 403
    async with post_office(tmp_path, **environ) as post, aiohttp.ClientSession() as session:
        url = f"{post.app.http_url}/webhooks/mail/{provider}"
        headers = {"Content-Type": declared}
        async with session.post(url, data=BytesIO(posted), headers=headers) as answer:
            assert answer.status == refused
        headers["Authorization"] = aiohttp.encode_basic_auth("provider", "secret")
        status, outcome = 503, ""  # a busy machine may take too long at first: the provider comes again
        while status == 503:
            async with session.post(url, data=BytesIO(posted), headers=headers) as answer:
                status, outcome = answer.status, (await answer.json()).get("outcome")
        assert (status, outcome) == (200, "accepted")
