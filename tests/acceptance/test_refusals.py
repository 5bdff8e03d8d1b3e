"""Bad input is refused at once, with the status the contract names, and harms nobody."""

import asyncio
import json
import smtplib
import time
from email.message import EmailMessage
from io import BytesIO
from urllib.parse import urlencode
from uuid import uuid4

import aio_pika
import pytest

from channels.twilio.signature import sign
from tests.acceptance.conftest import CONVERSATIONS, Answer, Site, until
from tests.acceptance.shapes import ERROR, expect
from tests.deployments import ACCOUNT, CLIENT, DEMO_NUMBER, HOST, MAIL_DOMAIN, QUOTE_NUMBER, TOKEN

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMS = "/webhooks/twilio/sms"
AT_ONCE = 20.0
"""Seconds; a refusal takes milliseconds and what is quadratic takes minutes, but the machine may be busy."""


async def _post(site: Site, form: list[tuple[str, str]], *, token: str = TOKEN) -> Answer:
    """A webhook signed with this token."""
    signature = sign(token, site.deployment.urls[0] + SMS, form)
    return await _raw(site, SMS, urlencode(form).encode(), signature)


async def _raw(site: Site, path: str, body: bytes, signature: str) -> Answer:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature}
    began = time.monotonic()
    async with site.http.post(site.deployment.url + path, data=BytesIO(body), headers=headers) as response:
        text = await response.text()
    assert time.monotonic() - began < AT_ONCE
    return Answer(response.status, {}, text)


def _form(site: Site, **changes: str) -> list[tuple[str, str]]:
    form = {
        "MessageSid": f"SM{uuid4().hex}",
        "AccountSid": ACCOUNT,
        "From": site.number(),
        "To": DEMO_NUMBER,
        "Body": "Hello",
    }
    return list((form | changes).items())


async def test_a_forged_webhook_is_403_without_a_hint(site: Site) -> None:
    form = _form(site)
    for answer in (
        await _post(site, form, token="another-token"),
        await _raw(site, SMS, urlencode(form).encode(), "not a signature"),
        await _raw(site, SMS, urlencode(form).encode(), ""),
        await _post(site, _form(site, AccountSid="AC" + "1" * 32)),
        await _raw(site, "/webhooks/twilio/voice", urlencode(form).encode(), "forged"),
        await _raw(site, "/webhooks/twilio/sms/status", urlencode(form).encode(), "forged"),
    ):
        assert answer.status == 403
        assert "signature" not in answer.body.lower()


async def test_an_unknown_number_is_404(site: Site) -> None:
    assert (await _post(site, _form(site, To="+15559999999"))).status == 404


async def test_an_unknown_mailbox_is_550(site: Site) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "grace@customer.example", f"nobody@{MAIL_DOMAIN}", "Hello"
    mail.set_content("Is anybody there?")
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        await site.send_mail(mail)
    ((code, _),) = refused.value.recipients.values()
    assert code == 550


async def test_a_stranger_cannot_relay_mail_through_us(site: Site) -> None:
    def attempt() -> int:
        with smtplib.SMTP(HOST, site.deployment.smtp_port, timeout=60) as connection:
            connection.ehlo()
            connection.mail("spammer@bad.example")
            return connection.rcpt("victim@elsewhere.example")[0]

    assert await asyncio.to_thread(attempt) in (550, 551, 553, 554)


@pytest.mark.parametrize("changes", [{"MessageSid": ""}, {"MessageSid": "; DROP"}, {"From": ""}, {"To": ""}])
async def test_a_signed_webhook_that_names_no_message_is_422(site: Site, changes: dict[str, str]) -> None:
    assert (await _post(site, _form(site, **changes))).status == 422


async def test_a_form_of_ten_thousand_fields_is_refused(site: Site) -> None:
    form = _form(site) + [(f"field{number}", "x") for number in range(10_000)]
    answer = await _post(site, form)
    assert answer.status in (400, 413, 422)


async def test_a_webhook_of_two_mebibytes_is_413(site: Site) -> None:
    assert (await _post(site, _form(site, Body="x" * 2 * 1024 * 1024))).status == 413


async def _api(site: Site, path: str, body: bytes, content_type: str = "application/json") -> Answer:
    """An API request with this body, which must be refused at once."""
    began = time.monotonic()
    headers = {"x-api-key": CLIENT, "Content-Type": content_type}
    async with site.http.post(site.deployment.url + path, data=BytesIO(body), headers=headers) as response:
        answer = Answer(response.status, {}, await response.json())
    assert time.monotonic() - began < AT_ONCE
    expect(answer.body, ERROR, more=True)
    return answer


async def test_the_api_refuses_bodies_that_cannot_be_read(site: Site) -> None:
    conversation_id = await site.new_conversation()
    turns = f"{CONVERSATIONS}/{conversation_id}/turns"
    malformed = {
        "not JSON": b"{",
        "not an object": b"[]",
        "nothing": b"",
        "not UTF-8": b'{"user_message": "\xff"}',
        "no message": b"{}",
        "an empty message": b'{"user_message": ""}',
        "a number": b'{"user_message": 1}',
        "U+0000": b'{"user_message": "a\\u0000b"}',
        "half a surrogate pair": b'{"user_message": "\\ud800"}',
        "too long a message": json.dumps({"user_message": "x" * 100_001}).encode(),
        "a bomb of brackets": b"[" * 200_000,
        "a bomb of objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "a bomb inside": b'{"user_message": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    }
    statuses = {name: (await _api(site, turns, body)).status for name, body in malformed.items()}
    assert {name: status for name, status in statuses.items() if status not in (400, 422)} == {}
    big = json.dumps({"user_message": "x", "more": "y" * 2 * 1024 * 1024}).encode()
    assert (await _api(site, turns, big)).status == 413
    assert await site.messages(conversation_id) == []


async def test_the_api_refuses_keys_ids_and_paths_it_does_not_know(site: Site) -> None:
    unknown = f"{CONVERSATIONS}/{uuid4()}"
    for key, path, status, error in (
        (None, unknown, 401, "unauthorized"),
        ("no-such-key", unknown, 401, "unauthorized"),
        (CLIENT, unknown, 404, "not_found"),
        (CLIENT, f"{CONVERSATIONS}/not-an-id", 422, "validation_error"),
        (CLIENT, "/v1/nothing/here", 404, "not_found"),
        (CLIENT, "/v1/hitl/handoffs", 403, "forbidden"),
    ):
        answer = await site.call("GET", path, key=key)
        assert (answer.status, expect(answer.body, ERROR, more=True)["error"]) == (status, error), path


@pytest.mark.parametrize("site", ["distributed"], indirect=True)  # one process has no queues to publish to
async def test_what_cannot_be_decoded_from_a_queue_is_kept_and_stops_nothing(site: Site) -> None:
    services = site.deployment.services
    assert services is not None
    rubbish = f"rubbish {uuid4()}".encode()
    connection = await aio_pika.connect(services.amqp_url)
    async with connection:
        channel = await connection.channel()
        for partition in range(4):
            queue = f"{services.amqp_prefix}turns.{partition}"
            for body in (rubbish, b"\xff\xfe", b'{"v": 99, "type": "message.inbound"}'):
                await channel.default_exchange.publish(aio_pika.Message(body), routing_key=queue)

    async def listed() -> str | None:
        listing = await site.deployment.command("dead", "list")
        return listing if listing.count("turns.") >= 12 else None

    listing = await until(listed, "the dead letters to be listed")
    assert all(f"turns.{partition}" in listing for partition in range(4))
    letter = listing.splitlines()[1].split()[0]
    assert "reason" in await site.deployment.command("dead", "show", letter)

    for _ in range(4):
        number = site.number()
        await site.twilio.text(number, QUOTE_NUMBER, "go on")
        assert [text.body for text in await site.texts_to(number, 1)] == ["<go on>"]
