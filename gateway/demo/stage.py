"""The stage: the whole gateway in this process, and the outside world it talks to, all on loopback."""

import asyncio
import secrets
import smtplib
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import aiohttp

from channels.email.fake import SmtpSink, SunkMail
from channels.twilio.fake import FakeTwilio, Message
from gateway.app import App, Plan, Role, running
from gateway.demo.client import ApiClient, JsonObject
from gateway.demo.expect import PATIENCE_SECONDS, Mismatch, until
from gateway.settings import Settings, load_settings

HOST: Final = "127.0.0.1"
OUR_NUMBER: Final = "+15550100"
OUR_MAILBOX: Final = "support@shop.example"
TRANSFER_TO: Final = "+15550111"
ORGANISATION: Final = "Demonstration"
OPERATOR_NAME: Final = "Jamie"
CONVERSATIONS: Final = "/v1/v2/conversations"

_CONFIG: Final = f"""
[organisation]
name = "{ORGANISATION}"
default_agent = "demo"

[[addresses]]
channel = "sms"
address = "{OUR_NUMBER}"

[[addresses]]
channel = "email"
address = "{OUR_MAILBOX}"

[[addresses]]
channel = "voice"
address = "{OUR_NUMBER}"
voice_mode = "webhook"

[agents.demo]
kind = "demo"

[agents.demo.transfers.billing]
destination = "{TRANSFER_TO}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Who and what plays."""

    app: App
    twilio: FakeTwilio
    mailbox: SmtpSink
    """The mail server of the people outside."""
    http: aiohttp.ClientSession
    client: ApiClient
    operator: ApiClient
    admin: ApiClient

    async def texts_to(self, number: str, count: int) -> Sequence[Message]:
        """What a phone has received, once it is this many texts."""
        return await until(
            f"{count} texts to {number}",
            lambda: self.twilio.by_pair(number, OUR_NUMBER),
            lambda texts: len(texts) >= count,
        )

    async def conversation_with(self, number: str) -> JsonObject:
        """The conversation our number has with a phone: there is one, so that asking for it creates none."""
        person = await self.client.post("/v1/identity/resolve", {"channel": "sms", "identifier": number})
        return await self.client.post(
            CONVERSATIONS,
            {"end_user_id": person["end_user_id"], "channel": "sms", "address": OUR_NUMBER},
        )

    async def messages_of(self, conversation: JsonObject) -> list[JsonObject]:
        """All messages of a conversation."""
        page = await self.client.get(f"{CONVERSATIONS}/{conversation['id']}/messages?since_seq=-1")
        messages: list[JsonObject] = page["messages"]
        return messages

    async def mails(self, count: int) -> Sequence[SunkMail]:
        """What the people outside have received by mail, once it is this many."""
        try:
            return await self.mailbox.wait_for(count, PATIENCE_SECONDS)
        except TimeoutError:
            raise Mismatch(f"mails: expected {count}, saw {len(self.mailbox.mails)}") from None

    async def send_mail(self, mail: EmailMessage) -> None:
        """Somebody outside sends a mail. Raises smtplib.SMTPException where it is refused."""
        await asyncio.to_thread(self._send_mail, mail)

    def _send_mail(self, mail: EmailMessage) -> None:
        port = self.app.smtp_port or 0
        with smtplib.SMTP(HOST, port, timeout=PATIENCE_SECONDS) as connection:
            connection.send_message(mail)


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """Everything running, in a folder that is gone afterwards."""
    account_sid, auth_token = f"AC{secrets.token_hex(16)}", secrets.token_hex(16)
    keys = {role: secrets.token_urlsafe(16) for role in ("client", "operator", "admin")}
    twilio, mailbox = FakeTwilio(account_sid, auth_token), SmtpSink()
    with TemporaryDirectory(prefix="gateway-demo-") as folder:
        try:
            environ = {
                "TWILIO_ACCOUNT_SID": account_sid,
                "TWILIO_AUTH_TOKEN": auth_token,
                "TWILIO_API_URL": await twilio.start(HOST),
                "GATEWAY_SMTP_RELAY_URL": await mailbox.start(HOST),
                "GATEWAY_API_KEYS": ",".join(
                    f"{key}:{role}:{ORGANISATION}:{OPERATOR_NAME}" for role, key in keys.items()
                ),
            }
            settings = _settings(Path(folder), environ)
            async with (
                running(settings, Plan(roles=frozenset(Role), migrate=True)) as app,
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_SECONDS)) as http,
            ):
                twilio.webhook_url = settings.public_url
                yield Stage(
                    app=app,
                    twilio=twilio,
                    mailbox=mailbox,
                    http=http,
                    client=ApiClient(http, app.http_url, keys["client"]),
                    operator=ApiClient(http, app.http_url, keys["operator"]),
                    admin=ApiClient(http, app.http_url, keys["admin"]),
                )
        finally:
            await twilio.stop()
            await mailbox.stop()


def _settings(folder: Path, environ: dict[str, str]) -> Settings:
    config_path = folder / "gateway.toml"
    config_path.write_text(_CONFIG, "utf-8")
    http_port, smtp_port = _free_ports(2)
    return load_settings(
        {
            **environ,
            "GATEWAY_MAIL_DOMAIN": OUR_MAILBOX.partition("@")[2],
            "GATEWAY_MAIL_AUTH": "off",
            "GATEWAY_SMTP_HOST": HOST,
            "GATEWAY_SMTP_PORT": str(smtp_port),
            "GATEWAY_DRAIN_SECONDS": "5",
        },
        config_path=config_path,
        data_dir=folder,
        host=HOST,
        port=http_port,
    )


def _free_ports(count: int) -> list[int]:
    """Ports that are free now; all are held until the last is found, so that they differ."""
    found = [socket.create_server((HOST, 0)) for _ in range(count)]
    try:
        return [listener.getsockname()[1] for listener in found]
    finally:
        for listener in found:
            listener.close()
