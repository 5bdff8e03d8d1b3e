"""Text messages in and receipts, over real HTTP."""

import json
import logging
import time
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import pytest
from prometheus_client import REGISTRY
from twilio.request_validator import RequestValidator

from channels.sms.routes import sms_routes
from channels.twilio.fake import FakeTwilio
from gateway.domain.delivery import PartState
from gateway.domain.errors import Unavailable
from gateway.domain.message import Channel, SenderAuth
from tests.integration.webhooks import ACCOUNT, OURS, THEIRS, TOKEN, Answer, Site, site

PATH = "/webhooks/twilio/sms"
STATUS = "/webhooks/twilio/sms/status"
DELIVERY = "0190a000-0000-7000-8000-0000000000aa"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def served() -> AsyncIterator[Site]:
    """The SMS webhooks."""
    async with site(sms_routes) as running:
        yield running


def error_of(answer: Answer) -> str:
    """The code of an error answer, whose form is checked."""
    body = json.loads(answer.body)
    assert sorted(body) == ["error", "message"]
    assert isinstance(body["error"], str)
    return str(body["error"])


async def test_a_text_is_accepted(served: Site) -> None:
    fake = FakeTwilio(ACCOUNT, TOKEN, webhook_url=served.url)
    answer = await fake.text(THEIRS, OURS, "Grüße & 50 % 😀\nBye ")
    await fake.stop()
    assert (answer.status, answer.content_type) == (200, "text/xml")
    assert answer.body == '<?xml version="1.0" encoding="UTF-8"?><Response/>'
    [message] = served.core.messages.values()
    assert message.text == "Grüße & 50 % 😀\nBye "
    assert (message.sender, message.recipient, message.channel) == (THEIRS, OURS, Channel.SMS)
    assert message.sender_auth is SenderAuth.VERIFIED
    assert message.provider_message_id == fake.inbound[0].sid
    assert message.metadata["provider"]["FromCountry"] == "US"
    assert "Body" not in message.metadata["provider"]


async def test_the_official_signature_is_accepted(served: Site) -> None:
    form = served.sms(Body="", MediaUrl10="b", MediaUrl2="a")
    validator: Any = RequestValidator
    signature = validator(TOKEN).compute_signature(served.url + PATH + "?x=1&y=%20a", form)
    assert (await served.post(PATH + "?x=1&y=%20a", form, signature=signature)).status == 200
    assert (await served.post(PATH + "?y=%20a&x=1", form, signature=signature)).status == 403


async def test_the_public_url_is_what_is_signed() -> None:
    public = "https://gateway.example/behind"
    async with site(sms_routes, public_url=public) as served:
        assert (await served.post(PATH, served.sms(), public_url=public)).status == 200
        assert (await served.post(PATH, served.sms())).status == 403


async def test_a_signed_request_need_not_name_the_account(served: Site) -> None:
    form = served.sms()
    del form["AccountSid"]
    assert (await served.post(PATH, form)).status == 200


async def test_any_of_several_tokens_will_do() -> None:
    async with site(sms_routes, tokens=("new", TOKEN)) as served:
        assert (await served.post(PATH, served.sms(), token="new")).status == 200
        assert (await served.post(PATH, served.sms())).status == 200
        assert (await served.post(PATH, served.sms(), token="old")).status == 403


@pytest.mark.parametrize(
    ("signature", "changes", "reason"),
    [
        ("", {}, "no_signature"),
        ("bm9wZQ==", {}, "bad_signature"),
        ("ünsinn", {}, "bad_signature"),
        (None, {"AccountSid": "AC" + "1" * 32}, "other_account"),
    ],
)
async def test_an_unproven_request_is_refused_without_a_hint(
    served: Site,
    caplog: pytest.LogCaptureFixture,
    signature: str | None,
    changes: dict[str, str],
    reason: str,
) -> None:
    labels = {"provider": "twilio", "reason": reason}
    before = REGISTRY.get_sample_value("gateway_webhooks_refused_total", labels) or 0
    with caplog.at_level(logging.WARNING, "channels.webhooks"):
        answer = await served.post(PATH, served.sms(**changes), signature=signature)
    assert (answer.status, error_of(answer)) == (403, "forbidden")
    assert reason not in answer.body
    assert "signature" not in answer.body
    assert not served.core.messages
    assert REGISTRY.get_sample_value("gateway_webhooks_refused_total", labels) == before + 1
    [record] = [r for r in caplog.records if r.name == "channels.webhooks"]
    assert vars(record)["action"] == "webhook.refused"
    assert vars(record)["reason"] == reason
    assert THEIRS not in record.getMessage()


async def test_unknown_number_is_404(served: Site) -> None:
    answer = await served.post(PATH, served.sms(To="+15550999"))
    assert (answer.status, error_of(answer)) == (404, "not_found")


@pytest.mark.parametrize(
    "changes",
    [
        {"MessageSid": ""},
        {"MessageSid": "SM\x001"},
        {"From": ""},
        {"From": "+1555\n0123"},
        {"To": " "},
        {"From": "x" * 256},
    ],
)
async def test_a_message_without_id_or_parties_is_422(served: Site, changes: dict[str, str]) -> None:
    answer = await served.post(PATH, served.sms(**changes))
    assert (answer.status, error_of(answer)) == (422, "validation_error")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"{}", {"Content-Type": "application/json"}),
        (b"Body=%ff", FORM),
        (b"Body=\xff", FORM),
        ("&".join(f"f{n}=" for n in range(10_000)).encode(), FORM),
    ],
    ids=["json", "percent", "raw", "fields"],
)
async def test_an_unreadable_body_is_400_at_once(served: Site, body: bytes, headers: dict[str, str]) -> None:
    started = time.monotonic()
    answer = await served.send(PATH, data=body, headers=headers)
    assert (answer.status, error_of(answer)) == (400, "validation_error")
    assert time.monotonic() - started < 20


async def test_a_large_body_is_413_announced_or_not(served: Site) -> None:
    large = b"Body=" + b"x" * (2 * 1024 * 1024)
    announced = await served.send(PATH, data=BytesIO(large), headers=FORM)
    assert (announced.status, error_of(announced)) == (413, "payload_too_large")

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 65_536):
            yield large[start : start + 65_536]

    counted = await served.send(PATH, data=pieces(), headers=FORM)
    assert (counted.status, error_of(counted)) == (413, "payload_too_large")


async def test_when_the_core_is_away_twilio_is_told_to_come_again(served: Site) -> None:
    form = served.sms()
    served.core.failure = Unavailable("the database does not answer")
    answer = await served.post(PATH, form)
    assert (answer.status, error_of(answer)) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    served.core.failure = None
    assert [(await served.post(PATH, form)).status for _ in range(3)] == [200, 200, 200]
    assert len(served.core.messages) == 1


async def test_only_post_is_served(served: Site) -> None:
    async with served.session.get(served.url + PATH) as response:
        assert response.status == 405


async def test_media_are_kept_by_address(served: Site) -> None:
    form = served.sms(
        NumMedia="3",
        MediaUrl0="https://api.twilio.com/m/0",
        MediaContentType0="image/jpeg",
        MediaUrl1="https://api.twilio.com/m/1",
        MediaContentType1="not a type",
        MediaUrl2="file:///etc/passwd",
        MediaContentType2="text/plain",
        Body="",
    )
    assert (await served.post(PATH, form)).status == 200
    [message] = served.core.messages.values()
    assert [(a.source, a.media_type) for a in message.attachments] == [
        ("https://api.twilio.com/m/0", "image/jpeg"),
        ("https://api.twilio.com/m/1", "application/octet-stream"),
    ]


@pytest.mark.parametrize(
    ("raw", "sender", "auth"),
    [
        ("+11234567890", "+11234567890", SenderAuth.VERIFIED),
        ("72345", "shortcode:72345", SenderAuth.VERIFIED),
        ("Example Co", "alpha:Example Co", SenderAuth.VERIFIED),
        ("whatsapp:+15550123", "whatsapp:+15550123", SenderAuth.VERIFIED),
        ("+266696687", None, SenderAuth.UNVERIFIED),
        ("Anonymous", None, SenderAuth.UNVERIFIED),
    ],
)
async def test_senders_are_never_mistaken_for_one_another(
    served: Site, raw: str, sender: str | None, auth: SenderAuth
) -> None:
    for _ in range(2):
        assert (await served.post(PATH, served.sms(From=raw))).status == 200
    first, second = served.core.messages.values()
    assert first.sender_auth is auth
    if sender is None:
        assert first.sender != second.sender
        assert first.sender.startswith("anonymous:")
    else:
        assert first.sender == second.sender == sender


async def test_nul_never_reaches_the_core(served: Site) -> None:
    assert (await served.post(PATH, served.sms(Body="a\x00b", **{"Odd\x00": "\x00"}))).status == 200
    [message] = served.core.messages.values()
    assert message.text == "ab"
    assert "\x00" not in repr(message.metadata)


async def test_a_receipt_finds_its_part(served: Site) -> None:
    query = urlencode({"d": DELIVERY, "p": 2, "a": 1})
    form = {"MessageSid": "SM1", "AccountSid": ACCOUNT, "MessageStatus": "undelivered", "ErrorCode": "30003"}
    answer = await served.post(f"{STATUS}?{query}", form)
    assert answer.status == 200
    [receipt] = served.core.receipts
    assert (receipt.provider, receipt.provider_message_id) == ("twilio", "SM1")
    assert (receipt.state, receipt.raw_status, receipt.error_code) == (
        PartState.FAILED,
        "undelivered",
        "30003",
    )
    assert (receipt.delivery_id, receipt.part_index, receipt.attempt) == (DELIVERY, 2, 1)


@pytest.mark.parametrize(
    ("query", "status", "expected"),
    [
        ("", "delivered", (PartState.DELIVERED, None, None)),
        ("?d=nonsense&p=1&a=1", "sent", (PartState.SENT, None, None)),
        (f"?d={DELIVERY}&p=-1&a=1", "teleported", (PartState.UNKNOWN, DELIVERY, None)),
    ],
)
async def test_a_receipt_counts_whatever_its_url(
    served: Site, query: str, status: str, expected: tuple[PartState, str | None, int | None]
) -> None:
    form = {"MessageSid": "SM1", "AccountSid": ACCOUNT, "MessageStatus": status, "ErrorCode": "0"}
    assert (await served.post(STATUS + query, form)).status == 200
    [receipt] = served.core.receipts
    assert (receipt.state, receipt.delivery_id, receipt.part_index) == expected
    assert receipt.error_code is None
    assert receipt.raw_status == status


async def test_a_receipt_needs_a_signature_a_status_and_the_core(served: Site) -> None:
    form = {"MessageSid": "SM1", "AccountSid": ACCOUNT, "MessageStatus": "sent"}
    assert (await served.post(STATUS, form, signature="")).status == 403
    assert (await served.post(STATUS, form | {"MessageStatus": ""})).status == 422
    served.core.failure = Unavailable("away")
    assert (await served.post(STATUS, form)).status == 503
    assert not served.core.receipts
