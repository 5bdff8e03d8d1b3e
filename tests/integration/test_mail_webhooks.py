"""Mail by the webhooks of providers: proven first, then taken in as if it had come over SMTP."""

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
import uvicorn
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from prometheus_client import REGISTRY
from starlette.applications import Starlette

from channels.contract import MAX_BODY
from channels.email.auth.sender import Judgement, MailArrival, Standing
from channels.email.hooks.common import TOO_LARGE
from channels.email.hooks.mailgun import MailgunProof, mailgun_routes
from channels.email.hooks.postmark import postmark_routes
from channels.email.hooks.room import Room
from channels.email.hooks.ses import MAX_FETCHED, fetch_from_amazon, is_amazon, ses_routes
from channels.email.intake import MailIntake
from channels.webhooks import FORM_TYPE
from gateway.domain.clock import Clock
from gateway.domain.errors import Unavailable
from gateway.domain.message import SenderAuth
from tests.integration.mail_server import MAIL, MARKS, NOW, Accepting, HereReader, ports_over
from tests.loopback import served

KEY, LOGIN, TOPIC = "key-of-mailgun", "provider:secret", "arn:aws:sns:eu-west-1:1:mail"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/cert.pem"
SECONDS = NOW // 1_000_000


@dataclass
class Hooks:
    """The three webhooks on loopback."""

    url: str
    session: aiohttp.ClientSession
    accept: Accepting
    judging: "Judging"
    tokens: "Bound"
    fetched: list[str] = field(default_factory=list)

    async def post(self, name: str, **request: Any) -> tuple[int, Any]:
        async with self.session.post(f"{self.url}/webhooks/mail/{name}", **request) as answer:
            return answer.status, await answer.json()


class Judging:
    """Says what it is told to."""

    standing = Standing.PROVEN
    arrival: MailArrival | None = None

    async def __call__(self, arrival: MailArrival, sender: str) -> Judgement:
        self.arrival = arrival
        return Judgement(self.standing, "dmarc=x")


class Bound:
    """The tokens that all processes know."""

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}
        self.away = False

    async def __call__(self, provider: str, token: str, digest: str) -> bool:
        if self.away:
            raise Unavailable("away")
        return self.digests.setdefault(token, digest) == digest


@cache
def sns_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65_537, key_size=2_048)


@cache
def certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, sns_key().public_key(), 1, now, now + timedelta(days=1))
    return builder.sign(sns_key(), SHA256()).public_bytes(Encoding.PEM)


@asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None, access_log=False))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def hooks() -> AsyncIterator[Hooks]:
    accept, judging, fetched, tokens = Accepting(), Judging(), list[str](), Bound()

    async def fetch(url: str) -> bytes:
        fetched.append(url)
        return certificate()

    async with AsyncExitStack() as stack:
        intake = MailIntake(ports_over(accept), MARKS, judging, HereReader())
        routes = [
            *mailgun_routes(intake, MailgunProof(KEY, LOGIN), Clock(now=lambda: NOW), tokens, Room()),
            *postmark_routes(intake, LOGIN, Room()),
            *ses_routes(intake, [TOPIC], fetch),
        ]
        url = await stack.enter_async_context(serving(Starlette(routes=routes)))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Hooks(url, session, accept, judging, tokens, fetched)


def mailgun_form(token: str = "t1", age: int = 0, **changed: str) -> dict[str, str]:
    timestamp = str(SECONDS - age)
    signature = hmac.new(KEY.encode(), (timestamp + token).encode(), "sha256").hexdigest()
    return {
        "recipient": "support@example.org, sales@example.org",
        "sender": "ana@example.com",
        "timestamp": timestamp,
        "token": token,
        "signature": signature,
        "body-mime": MAIL,
        **changed,
    }


@pytest.mark.parametrize("multipart", [True, False])
async def test_mail_of_mailgun_is_taken_in(hooks: Hooks, multipart: bool) -> None:
    form = mailgun_form()
    sent: Any = form
    if multipart:
        sent = aiohttp.FormData(default_to_multipart=True)
        for name, value in form.items():
            sent.add_field(name, value)
    assert await hooks.post("mailgun/mime", data=sent) == (200, {"outcome": "accepted", "message_id": "id1"})
    assert [m.recipient for m in hooks.accept.messages] == ["support@example.org", "sales@example.org"]
    message = hooks.accept.messages[0]
    assert (message.provider, message.text, message.sender_auth) == (
        "mailgun",
        "Where is it?",
        SenderAuth.VERIFIED,
    )
    assert hooks.judging.arrival is not None
    assert (hooks.judging.arrival.mail_from, hooks.judging.arrival.client) == ("ana@example.com", None)


@pytest.mark.parametrize(
    "form",
    [
        mailgun_form(signature="0" * 64),
        mailgun_form(signature="ä"),
        mailgun_form(token="other") | {"token": "another"},
        mailgun_form(age=9 * 3600),
        mailgun_form(age=-3600),
        {},
    ],
)
async def test_what_mailgun_did_not_sign_lately_is_refused(hooks: Hooks, form: dict[str, str]) -> None:
    status, body = await hooks.post("mailgun", data=form)
    assert (status, body["error"]) == (403, "forbidden")
    assert not hooks.accept.messages


@pytest.mark.parametrize("shown", [None, "provider:other"])
async def test_a_mail_that_is_too_large_without_the_login_is_counted(hooks: Hooks, shown: str | None) -> None:
    before = counted("mailgun", TOO_LARGE)
    large = urlencode(mailgun_form() | {"body-mime": MAIL + "x" * MAX_BODY}).encode()
    headers = login(shown) if shown else {}
    form = {"content-type": FORM_TYPE}
    assert (await hooks.post("mailgun/mime", data=BytesIO(large), headers=headers | form))[0] == 413
    assert counted("mailgun", TOO_LARGE) == before + 1
    assert (await hooks.post("mailgun/mime", data=BytesIO(large), headers=login() | form))[0] == 200
    assert (await hooks.post("mailgun/mime", data=mailgun_form("t2"), headers=headers))[0] == 200


async def test_a_token_of_mailgun_counts_for_one_mail(hooks: Hooks) -> None:
    hooks.judging.standing = Standing.UNDECIDED
    assert (await hooks.post("mailgun", data=mailgun_form()))[0] == 503
    hooks.judging.standing = Standing.PROVEN
    assert (await hooks.post("mailgun", data=mailgun_form()))[0] == 200
    forged = mailgun_form() | {"body-mime": MAIL.replace("m1@", "m2@")}
    for other in (forged, mailgun_form() | {"recipient": "sales@example.org"}):
        assert (await hooks.post("mailgun", data=other))[0] == 403
    assert len(hooks.accept.messages) == 2


async def test_a_token_that_another_process_has_taken_counts_for_no_other_mail(hooks: Hooks) -> None:
    hooks.tokens.digests["t1"] = "of another mail"
    assert (await hooks.post("mailgun", data=mailgun_form()))[0] == 403
    assert not hooks.accept.messages


async def test_while_the_database_is_away_each_process_knows_its_own_tokens(hooks: Hooks) -> None:
    hooks.tokens.away = True
    assert (await hooks.post("mailgun", data=mailgun_form()))[0] == 200  # the spool takes it
    forged = mailgun_form() | {"body-mime": MAIL.replace("m1@", "m2@")}
    assert (await hooks.post("mailgun", data=forged))[0] == 403


async def test_a_route_without_the_raw_mail_is_told_what_is_missing(hooks: Hooks) -> None:
    status, body = await hooks.post("mailgun", data=mailgun_form() | {"body-mime": ""})
    assert status == 422
    assert "/mime" in body["message"]


def counted(provider: str, outcome: str) -> float:
    labels = {"provider": provider, "outcome": outcome}
    return REGISTRY.get_sample_value("gateway_mail_in_total", labels) or 0


def login(text: str = LOGIN) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


async def test_mail_of_postmark_is_taken_in(hooks: Hooks) -> None:
    posted = {"RawEmail": MAIL.replace("\r\n", "\n"), "OriginalRecipient": "support+x@example.org"}
    assert (await hooks.post("postmark", json=posted, headers=login()))[0] == 200
    [message] = hooks.accept.messages
    assert (message.recipient, message.text, message.metadata["kind"]) == (
        "support@example.org",
        "Where is it?",
        "human",
    )
    # at a 403 Postmark drops the mail: a password that was changed here first costs none
    assert (await hooks.post("postmark", json=posted, headers=login("postmark:other")))[0] == 401
    assert (await hooks.post("postmark", json=posted))[0] == 403
    status, body = await hooks.post("postmark", json={"TextBody": "x"}, headers=login())
    assert (status, "RawEmail" in body["message"]) == (422, True)
    halved = posted | {"RawEmail": f"{MAIL}\ud800"}
    assert (await hooks.post("postmark", json=halved, headers=login()))[0] == 200
    for bad in ("[]", "{", "[" * 100_000):
        assert (await hooks.post("postmark", data=bad, headers=login()))[0] == 400


def sns(message: object, version: str = "2", **changed: str) -> dict[str, str]:
    posted = {
        "Type": "Notification",
        "MessageId": "n1",
        "TopicArn": TOPIC,
        "Message": message if isinstance(message, str) else json.dumps(message),
        "Timestamp": "2026-11-25T12:00:00.000Z",
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE,
        **changed,
    }
    names = sorted(
        {"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"} & set(posted)
    )
    covered = "".join(f"{name}\n{posted[name]}\n" for name in names).encode()
    made = sns_key().sign(covered, PKCS1v15(), SHA256() if version == "2" else SHA1())
    return {**posted, "Signature": base64.b64encode(made).decode()}


def received(dmarc: str = "PASS", **changed: object) -> dict[str, object]:
    return {
        "notificationType": "Received",
        "mail": {"messageId": "s1", "source": "ana@example.com"},
        "receipt": {
            "recipients": ["support@example.org"],
            "spfVerdict": {"status": "PASS"},
            "dmarcVerdict": {"status": dmarc},
            "action": {"type": "SNS", "encoding": "UTF8"},
        },
        "content": MAIL,
        **changed,
    }


@pytest.mark.parametrize("version", ["1", "2"])
async def test_mail_of_ses_is_taken_in(hooks: Hooks, version: str) -> None:
    assert (await hooks.post("ses", json=sns(received(), version)))[0] == 200
    assert (await hooks.post("ses", json=sns(received("GRAY"), version)))[0] == 200
    assert hooks.fetched == [CERTIFICATE]
    assert [m.recipient for m in hooks.accept.messages] == ["support@example.org"] * 2
    assert hooks.judging.arrival is not None
    assert (hooks.judging.arrival.provider_dmarc, hooks.judging.arrival.provider_spf) == (None, "pass")


async def test_content_of_ses_may_be_base64(hooks: Hooks) -> None:
    event = received(content=base64.b64encode(MAIL.encode()).decode())
    event["receipt"] = {"recipients": ["support@example.org"], "action": {"encoding": "BASE64"}}
    assert (await hooks.post("ses", json=sns(event)))[0] == 200
    assert hooks.accept.messages[0].text == "Where is it?"


@pytest.mark.parametrize(
    "changed",
    [
        {"Message": "{}"},
        {"TopicArn": "arn:aws:sns:eu-west-1:2:other"},
        {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com.evil.org/cert.pem"},
        {"SigningCertURL": "http://sns.eu-west-1.amazonaws.com/cert.pem"},
        {"SigningCertURL": "https://evil.org/?https://sns.eu-west-1.amazonaws.com/cert.pem"},
        {"Signature": "AAAA"},
        {"SignatureVersion": "3"},
    ],
)
async def test_what_amazon_did_not_sign_for_us_is_refused(hooks: Hooks, changed: dict[str, str]) -> None:
    status, body = await hooks.post("ses", json={**sns(received()), **changed})
    assert (status, body["error"]) == (403, "forbidden")
    assert not hooks.accept.messages
    assert set(hooks.fetched) <= {CERTIFICATE}


async def test_a_subscription_is_confirmed_at_amazon_only(hooks: Hooks) -> None:
    about = {"Type": "SubscriptionConfirmation", "Token": "t"}
    confirm = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription"
    assert (await hooks.post("ses", json=sns("hi", SubscribeURL=confirm, **about)))[0] == 200
    assert hooks.fetched == [CERTIFICATE, confirm]
    assert (await hooks.post("ses", json=sns("hi", SubscribeURL="https://evil.org/", **about)))[0] == 403
    assert hooks.fetched == [CERTIFICATE, confirm]


async def test_what_cannot_be_stored_comes_again_and_what_is_for_nobody_does_not(hooks: Hooks) -> None:
    def away() -> None:
        raise Unavailable("the database is away")

    hooks.accept.fail = away
    assert (await hooks.post("ses", json=sns(received())))[0] == 503
    hooks.accept.fail = lambda: None
    event = received()
    event["receipt"] = {"recipients": ["nobody@example.org"]}
    assert await hooks.post("ses", json=sns(event)) == (200, {"outcome": "no_mailbox", "message_id": None})
    assert (await hooks.post("ses", json=sns({"notificationType": "AmazonSnsSubscriptionSucceeded"})))[
        0
    ] == 200


async def test_forged_mail_that_a_provider_took_is_kept_and_not_answered(hooks: Hooks) -> None:
    hooks.judging.standing = Standing.REFUSED
    assert (await hooks.post("ses", json=sns(received())))[0] == 200
    assert hooks.accept.messages[0].sender_auth is SenderAuth.FAILED


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        (CERTIFICATE, True),
        ("https://sns.cn-north-1.amazonaws.com.cn/x.pem", True),
        ("https://user@sns.eu-west-1.amazonaws.com/x.pem", False),
        ("https://sns.eu-west-1.amazonaws.com:8443/x.pem", False),
        ("https://s3.eu-west-1.amazonaws.com/x.pem", False),
        ("https://[", False),
        ("", False),
    ],
)
def test_which_servers_are_amazons(url: str, ours: bool) -> None:
    assert is_amazon(url) is ours


async def test_what_amazon_sends_in_pieces_is_fetched_whole_and_never_in_part() -> None:
    pieces = [b"-----BEGIN ", b"CERTIFICATE-----"]

    async def certificate(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0.05)
        return response

    app = web.Application()
    app.router.add_get("/cert.pem", certificate)
    async with served(app) as place:
        url = f"{place}/cert.pem"
        assert await fetch_from_amazon(url) == b"".join(pieces)
        pieces.append(b"x" * MAX_FETCHED)
        with pytest.raises(Unavailable):
            await fetch_from_amazon(url)
