"""Telnyx's signature, events, codes and statuses."""

import json
from base64 import b64encode
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from channels.sms.telnyx_routes import receipt
from channels.telnyx.credentials import TelnyxCredentials
from channels.telnyx.errors import FAILURES, LATE, PART_STATES, failure_in_event, failure_of, part_state
from channels.telnyx.events import Event, Payload, read_event, reference_of
from channels.telnyx.signature import is_fresh, signed_text, verify
from channels.webhooks import WebhookRefused
from gateway.domain.delivery import Failure, PartState

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
DELIVERY = "0190a000-0000-7000-8000-0000000000aa"


def public(key: Ed25519PrivateKey) -> str:
    return b64encode(key.public_key().public_bytes_raw()).decode()


def sign(key: Ed25519PrivateKey, timestamp: str, body: bytes) -> str:
    return b64encode(key.sign(signed_text(timestamp, body))).decode()


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_exactly_what_was_signed_is_proven(body: bytes, other: bytes) -> None:
    signature = sign(KEY, "1700000000", body)
    assert verify((public(KEY),), "1700000000", body, signature)
    assert verify((public(OTHER), public(KEY)), "1700000000", body, signature)
    assert verify((public(KEY),), "1700000000", other, signature) == (other == body)
    assert not verify((public(KEY),), "1700000001", body, signature)
    assert not verify((public(OTHER),), "1700000000", body, signature)


@given(st.text(max_size=120), st.text(max_size=20))
def test_no_text_is_a_signature(signature: str, timestamp: str) -> None:
    assert not verify((public(KEY),), timestamp, b"{}", signature)


@pytest.mark.parametrize(
    ("timestamp", "fresh"),
    [
        ("1000", True),
        ("700", True),
        ("1300", True),
        ("699", False),
        ("1301", False),
        ("", False),
        ("-1000", False),
        ("1000.0", False),
        ("1e3", False),
        ("٢٠٠٠", False),
        ("9" * 13, False),
    ],
)
def test_only_the_last_minutes_count(timestamp: str, fresh: bool) -> None:
    assert is_fresh(timestamp, 1000.0) is fresh


@pytest.mark.parametrize("key", ["", "nope", b64encode(b"short").decode(), "ü" * 44])
def test_a_key_that_is_none_is_refused_at_the_start(key: str) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        TelnyxCredentials(api_key=None, public_keys=(key,))


def test_secrets_are_not_shown() -> None:
    assert "sesame" not in repr(TelnyxCredentials(api_key="sesame", public_keys=(public(KEY),)))


@pytest.mark.parametrize(
    ("status", "code", "failure"),
    [
        (403, "40300", Failure.OPTED_OUT),
        (422, "40310", Failure.BAD_ADDRESS),
        (422, "40305", Failure.CONFIGURATION),
        (403, "40313", Failure.NOT_ALLOWED),
        (401, "10009", Failure.CONFIGURATION),
        (400, "40318", Failure.TRANSIENT),
        (429, "99999", Failure.TRANSIENT),
        (400, "99999", Failure.PERMANENT),
        (403, "403", Failure.CONFIGURATION),
        (302, "302", Failure.CONFIGURATION),
    ],
)
def test_a_refusal_has_one_meaning(status: int, code: str, failure: Failure) -> None:
    assert failure_of(status, code) is failure


def test_what_did_not_arrive_for_now_is_sent_once_more_within_bounds() -> None:
    assert all(FAILURES[code] is Failure.TRANSIENT for code in LATE)
    assert all(60 <= again.after <= 86_400 and 1 <= again.times <= 2 for again in LATE.values())


def test_no_event_stops_a_sender() -> None:
    failures = {failure_in_event(code) for code in (*FAILURES, "99999")}
    assert Failure.CONFIGURATION not in failures
    assert {Failure.OPTED_OUT, Failure.BAD_ADDRESS, Failure.TRANSIENT, Failure.PERMANENT} < failures


def test_nobody_who_opted_out_or_cannot_be_reached_is_tried_again() -> None:
    repeated = {code for code, failure in FAILURES.items() if failure is Failure.TRANSIENT}
    assert not repeated & {"40300", "40001", "40003", "40012", "40310"}


@pytest.mark.parametrize("status", ["", "Delivered", "webhook_delivered", "new_word"])
def test_an_unknown_status_changes_nothing(status: str) -> None:
    assert part_state(status) is PartState.UNKNOWN


def payload(**changes: Any) -> dict[str, Any]:
    base = {
        "id": "40385f64-5717-4562-b3fc-2c963f66afa6",
        "from": {"phone_number": "+15550100"},
        "to": [{"phone_number": "+15550123", "status": "delivered"}],
        "webhook_url": f"https://gateway.test/webhooks/telnyx/sms?d={DELIVERY}&p=2&a=1",
    }
    return base | changes


def body(**changes: Any) -> bytes:
    event = {"event_type": "message.finalized", "id": "e", "payload": payload(**changes)}
    return json.dumps({"data": event}).encode()


def test_a_report_names_our_part() -> None:
    found = receipt(read_event(body()).message())
    assert (found.state, found.raw_status) == (PartState.DELIVERED, "delivered")
    assert (found.delivery_id, found.part_index, found.attempt) == (DELIVERY, 2, 1)
    assert found.error_code is None


def test_the_reason_of_a_failure_is_kept_and_of_nothing_else() -> None:
    errors = [{"code": 40001, "title": "Not routable"}]
    failed = payload(to=[{"phone_number": "+1", "status": "delivery_failed"}], errors=errors)
    assert receipt(Payload.model_validate(failed)).error_code == "40001"
    assert receipt(Payload.model_validate(failed)).failure is Failure.BAD_ADDRESS
    assert receipt(Payload.model_validate(payload(errors=errors))).error_code is None


@pytest.mark.parametrize("status", sorted(PART_STATES))
def test_every_status_is_read(status: str) -> None:
    found = receipt(Payload.model_validate(payload(to=[{"phone_number": "+1", "status": status}])))
    assert found.state is PART_STATES[status]


@pytest.mark.parametrize(
    "url",
    ["", "https://x/", "https://x/?d=1&p=1&a=1", "http://[", f"https://x/?p=1&a=1&D={DELIVERY}", "\x00"],
)
def test_a_url_that_is_not_ours_names_nothing(url: str) -> None:
    assert reference_of(url) == (None, None, None)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b"[" * 100_000, 400),
        (b'{"data":' * 5_000, 400),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"data": null}', 422),
        (b'{"data": {"event_type": 1}}', 422),
        (b'{"data": {"event_type": "message.received", "payload": []}}', 422),
    ],
)
def test_what_is_no_event_is_refused(raw: bytes, status: int) -> None:
    with pytest.raises(WebhookRefused) as refused:
        read_event(raw)
    assert refused.value.status == status


@pytest.mark.parametrize(
    "changes",
    [{"id": ""}, {"id": "a b"}, {"id": "x" * 65}, {"from": "+1"}, {"to": "+1"}, {"to": [1]}, {"text": 5}],
)
def test_what_is_no_message_is_refused_without_quoting_it(changes: dict[str, Any]) -> None:
    event = read_event(body(**changes))
    with pytest.raises(WebhookRefused, match="is missing or is not") as refused:
        event.message()
    assert refused.value.status == 422


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*sorted(payload()), "text", "media", "errors", "cc"]), _json))
def test_no_payload_is_more_than_refused(changes: dict[str, Any]) -> None:
    event = Event.model_validate({"event_type": "message.sent", "payload": payload() | changes})
    with suppress(WebhookRefused):
        message = event.message()
        assert "\x00" not in message.text + message.sender.phone_number
        receipt(message)
