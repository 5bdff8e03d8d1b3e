"""Ways into the SMTP server: STARTTLS, the PROXY protocol, LMTP, many at once; who is refused."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiosmtplib import SMTP, SMTPDataError
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from channels.email.auth.sender import Judgement, MailArrival, Standing
from channels.email.gate import SessionLimits
from gateway.domain.message import Role, SenderAuth
from tests.integration.mail_server import MAIL, Server, mail_server, raw_session, say

PROXIED = SessionLimits(proxies=(ip_network("127.0.0.0/8"),), proxy_seconds=60.0, connections_per_address=1)


class Judging:
    """Says what it is told to, and remembers whom it was asked about."""

    def __init__(self, standing: Standing = Standing.UNPROVEN) -> None:
        self.standing = standing
        self.asked: list[MailArrival] = []

    async def __call__(self, arrival: MailArrival, sender: str) -> Judgement:
        self.asked.append(arrival)
        return Judgement(self.standing, "dmarc=x")


def certificate(folder: Path) -> ssl.SSLContext:
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    (folder / "cert.pem").write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def test_starttls_is_offered_and_one_session_stays_one(tmp_path: Path) -> None:
    async with mail_server(tls=certificate(tmp_path)) as server:
        for _ in range(3):
            client = SMTP(hostname="127.0.0.1", port=server.port, start_tls=True, validate_certs=False)
            async with client:
                assert client.get_transport_info("cipher")
                assert server.mail.sessions == 1
                await client.sendmail("ana@example.com", ["support@example.org"], MAIL)
        assert len(server.accept.messages) == 3


async def test_what_is_said_before_tls_is_forgotten(tmp_path: Path) -> None:
    async with mail_server(tls=certificate(tmp_path)) as server:
        reader, writer = await raw_session(server.port)
        await say(reader, writer, b"", b"EHLO c\r\n")
        writer.write(b"STARTTLS\r\nMAIL FROM:<evil@example.com>\r\n")
        assert (await reader.readline()).startswith(b"220")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        await writer.start_tls(context)
        assert (await say(reader, writer, b"EHLO c\r\n")).startswith(b"250")
        assert (await say(reader, writer, b"RCPT TO:<support@example.org>\r\n")).startswith(b"503")
        writer.close()


async def proxied(server: Server, head: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await raw_session(server.port)
    writer.write(head)
    return reader, writer


async def test_a_proxy_says_whom_it_connects_for() -> None:
    judging = Judging()
    async with mail_server(PROXIED, judging) as server:
        head = b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 25\r\n"
        reader, writer = await proxied(server, head)
        commands = (
            b"",
            b"EHLO c.example.net\r\n",
            b"MAIL FROM:<ana@example.com>\r\n",
            b"RCPT TO:<support@example.org>\r\n",
            b"DATA\r\n",
            MAIL.encode() + b".\r\n",
        )
        assert (await say(reader, writer, *commands)).startswith(b"250 2.0.0")
        [arrival] = judging.asked
        assert (arrival.client, arrival.helo) == ("192.0.2.7", "c.example.net")
        turned_away, second = await proxied(server, head)
        assert (await turned_away.readline()).startswith(b"421 4.7.0")
        other, third = await proxied(server, head.replace(b"192.0.2.7", b"192.0.2.8"))
        assert (await other.readline()).startswith(b"220")
        for open_writer in (writer, second, third):
            open_writer.close()


async def test_a_proxy_that_says_nothing_is_no_client() -> None:
    async with mail_server(PROXIED) as server:
        reader, writer = await proxied(server, b"EHLO c\r\n")
        assert await reader.read() == b""
        writer.close()


async def test_the_proxy_protocol_of_a_stranger_is_a_bad_command() -> None:
    async with mail_server() as server:
        reader, writer = await proxied(server, b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 25\r\n")
        assert (await reader.readline()).startswith(b"220")
        assert (await reader.readline()).startswith(b"500")
        writer.close()


async def test_lmtp_answers_for_each_recipient_and_never_refuses_what_was_taken() -> None:
    judging = Judging(Standing.REFUSED)
    async with mail_server(SessionLimits(lmtp=True), judging) as server:
        reader, writer = await raw_session(server.port)
        assert (await say(reader, writer, b"", b"EHLO c\r\n")).startswith(b"500")
        assert (await say(reader, writer, b"LHLO c\r\n")).startswith(b"250")
        to = [b"RCPT TO:<%s@example.org>\r\n" % name for name in (b"support", b"sales")]
        await say(reader, writer, b"MAIL FROM:<ana@example.com>\r\n", *to, b"DATA\r\n")
        writer.write(MAIL.encode() + b".\r\n")
        replies = [await reader.readline() for _ in range(2)]
        assert all(reply.startswith(b"250 2.0.0") for reply in replies)
        assert (await say(reader, writer, b"NOOP\r\n")).startswith(b"250")
        assert [m.sender_auth for m in server.accept.messages] == [SenderAuth.FAILED] * 2
        assert judging.asked[0].client is None
        writer.close()


@pytest.mark.parametrize(
    ("standing", "code"), [(Standing.REFUSED, "550 5.7.1"), (Standing.UNDECIDED, "451 4.7.0")]
)
async def test_what_the_sender_asks_to_refuse_is_refused(standing: Standing, code: str) -> None:
    async with mail_server(check=Judging(standing)) as server:
        with pytest.raises(SMTPDataError) as refused:
            await server.send(MAIL)
        assert f"{refused.value.code} {refused.value.message}".startswith(code)
        assert not server.accept.messages


async def test_mail_that_breaks_the_rules_of_its_domain_is_kept_and_not_answered() -> None:
    async with mail_server(check=Judging(Standing.FAILED)) as server:
        assert (await server.send(MAIL)).startswith("2.0.0")
        [message] = server.accept.messages
        assert (message.sender_auth, message.role) == (SenderAuth.FAILED, Role.SYSTEM_EVENT)
        assert message.metadata["authentication"] == "dmarc=x"


MIXED = """\
From: ana@example.com
Subject: Bill
Message-ID: <m2@example.com>
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

See the picture.
--b
Content-Type: image/png; name="logo.png"
Content-ID: <logo>
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--b
Content-Type: application/pdf
Content-Disposition: attachment; filename="../../etc/bill?.pdf"

%PDF-1.7
--b--
""".replace("\n", "\r\n")


async def test_the_files_of_a_mail_are_kept_with_the_mail_itself() -> None:
    async with mail_server() as server:
        await server.send(MIXED, "support@example.org", "sales@example.org")
        one, two = server.accept.messages
        assert [(a.name, a.media_type, a.size) for a in one.attachments] == [
            ("bill_.pdf", "application/pdf", 8),
            ("logo.png", "image/png", 8),
        ]
        assert [a["inline"] for a in one.metadata["attachments"]] == [False, True]
        assert one.original is not None
        assert one.original.media_type == "message/rfc822"
        ids = {a.id for m in (one, two) for a in (*m.attachments, m.original) if a is not None}
        assert len(ids) == 6


async def test_five_hundred_clients_at_once_are_all_served() -> None:
    async with mail_server() as server:

        async def deliver(number: int) -> str:
            raw = MAIL.replace("m1@", f"m{number}@")
            async with SMTP(hostname="127.0.0.1", port=server.port, local_hostname="c", timeout=60) as client:
                return (await client.sendmail("ana@example.com", ["support@example.org"], raw))[1]

        replies = await asyncio.gather(*(deliver(number) for number in range(500)))
        assert all(reply.startswith("2.0.0 accepted") for reply in replies)
        assert len(server.accept.messages) == 500
