"""Mail that Amazon SES receives for us and SNS posts (docs.aws.amazon.com: "Receiving email", "SNS message
signatures"). Every message is signed; the certificate may come from Amazon's own servers only.
"""

import json
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from channels.email.auth.sender import MailArrival
from channels.email.hooks.common import hand_over, read_json, text_of
from channels.email.intake import MailIntake
from channels.exchange import read_body
from channels.webhooks import invalid, malformed, unproven, webhook
from gateway.domain.errors import Unavailable

PROVIDER: Final = "ses"
PATH: Final = "/webhooks/mail/ses"
FETCH_SECONDS: Final = 5.0
MAX_FETCHED: Final = 65_536
_MAX_CERTIFICATES: Final = 20
_AMAZON: Final = re.compile(r"sns\.[a-z0-9-]{3,32}\.amazonaws\.com(\.cn)?")
_HASHES: Final = {"1": SHA1, "2": SHA256}  # 1 is what SNS signs by unless a topic says otherwise
_SIGNED: Final = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}
_VERDICTS: Final = {"PASS": "pass", "FAIL": "fail"}

Fetch = Callable[[str], Awaitable[bytes]]
"""Gets a URL; raises Unavailable."""


class SnsProof:
    """Proves that Amazon has signed a message for one of our topics."""

    def __init__(self, topics: Sequence[str], fetch: Fetch) -> None:
        self._topics = frozenset(topics)
        self._fetch = fetch
        self._keys: dict[str, RSAPublicKey] = {}

    async def __call__(self, message: Mapping[str, Any]) -> str:
        """The type of the message. Raises WebhookRefused; Unavailable where the certificate cannot be had."""
        kind = text_of(message.get("Type"))
        if kind not in _SIGNED:
            raise malformed("The body is not a message of SNS that is expected here.")
        if text_of(message.get("TopicArn")) not in self._topics:
            raise unproven(PROVIDER, "topic")
        made_with = _HASHES.get(text_of(message.get("SignatureVersion")))
        if made_with is None:
            raise unproven(PROVIDER, "version")
        key = await self._key(text_of(message.get("SigningCertURL")))
        try:
            signature = b64decode(text_of(message.get("Signature"), 4_096), validate=True)
            key.verify(signature, _covered(message, _SIGNED[kind]), PKCS1v15(), made_with())
        except (InvalidSignature, Base64Error, ValueError):
            raise unproven(PROVIDER, "signature") from None
        return kind

    async def _key(self, url: str) -> RSAPublicKey:
        if not is_amazon(url) or not urlsplit(url).path.endswith(".pem"):
            raise unproven(PROVIDER, "certificate")
        if url not in self._keys:
            content = await self._fetch(url)
            try:
                key = x509.load_pem_x509_certificate(content).public_key()
            except ValueError:
                raise Unavailable("the certificate of SNS cannot be read now") from None
            if not isinstance(key, RSAPublicKey):
                raise unproven(PROVIDER, "certificate")
            if len(self._keys) >= _MAX_CERTIFICATES:
                self._keys.clear()
            self._keys[url] = key
        return self._keys[url]


def ses_routes(intake: MailIntake, topics: Sequence[str], fetch: Fetch | None = None) -> list[Route]:
    """The webhook, to be mounted on the public surface. `topics`: the ARNs whose messages are taken."""
    get = fetch or fetch_from_amazon
    prove = SnsProof(topics, get)

    async def inbound(request: Request) -> Response:
        message = await read_json(request, PROVIDER)
        if await prove(message) == "Notification":
            return await _received(intake, message)
        confirm = text_of(message.get("SubscribeURL"), 4_096)
        if not is_amazon(confirm):
            raise unproven(PROVIDER, "subscribe_url")
        await get(confirm)
        return JSONResponse({"outcome": "confirmed"})

    return [Route(PATH, webhook(inbound), methods=["POST"])]


def is_amazon(url: str) -> bool:
    """Whether a URL is one of SNS itself: https, its own host, no port and no login."""
    try:
        split = urlsplit(url)
        return split.scheme == "https" and _AMAZON.fullmatch(split.netloc) is not None
    except ValueError:
        return False


async def fetch_from_amazon(url: str) -> bytes:
    """GET without redirects. Raises Unavailable."""
    timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            content = await read_body(response, MAX_FETCHED)
            if response.status == 200:
                return content
    except (aiohttp.ClientError, TimeoutError, OSError):
        pass
    raise Unavailable("Amazon SNS does not answer; try again")


async def _received(intake: MailIntake, message: Mapping[str, Any]) -> Response:
    event = _parsed(text_of(message.get("Message"), 1_000_000))
    receipt = event.get("receipt")
    mail = event.get("mail")
    received = event.get("notificationType") == "Received"
    if not received or not isinstance(receipt, dict) or not isinstance(mail, dict):
        return JSONResponse({"outcome": "ignored"})  # such as the test message of a new rule
    content = event.get("content")
    if not isinstance(content, str):
        raise invalid("content is missing: the rule's action must be SNS, which carries the mail itself.")
    recipients = [text_of(box) for box in receipt.get("recipients") or () if text_of(box)]
    arrival = MailArrival(
        raw=_raw(content, receipt),
        mail_from=text_of(mail.get("source")),
        provider_dmarc=_verdict(receipt, "dmarcVerdict"),
        provider_spf=_verdict(receipt, "spfVerdict"),
    )
    return await hand_over(intake, arrival, recipients, PROVIDER)


def _parsed(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _raw(content: str, receipt: Mapping[str, Any]) -> bytes:
    action = receipt.get("action")
    encoded = isinstance(action, dict) and action.get("encoding") == "BASE64"
    try:
        return b64decode(content) if encoded else content.encode("utf-8", "surrogateescape")
    except (Base64Error, ValueError):
        raise invalid("content is not base64.") from None


def _verdict(receipt: Mapping[str, Any], name: str) -> str | None:
    """PASS and FAIL; GRAY (no policy) and PROCESSING_FAILED say nothing."""
    verdict = receipt.get(name)
    return _VERDICTS.get(text_of(verdict.get("status"))) if isinstance(verdict, dict) else None


def _covered(message: Mapping[str, Any], names: Sequence[str]) -> bytes:
    lines = (f"{name}\n{message[name]}\n" for name in names if isinstance(message.get(name), str))
    return "".join(lines).encode()
