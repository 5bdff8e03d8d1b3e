"""What Twilio's codes and statuses mean."""

import pytest

from channels.twilio.addresses import canonical_sender, is_withheld, provider_address
from channels.twilio.credentials import TwilioCredentials
from channels.twilio.errors import (
    ERRORS,
    PART_STATES,
    again,
    failure_in_callback,
    failure_of,
    part_state,
    retry_after,
)
from gateway.domain.delivery import Again, Failure, PartState


@pytest.mark.parametrize(
    ("status", "code", "failure"),
    [
        (400, 21211, Failure.BAD_ADDRESS),
        (400, 21614, Failure.BAD_ADDRESS),
        (400, 21610, Failure.OPTED_OUT),
        (400, 21408, Failure.NOT_ALLOWED),
        (400, 21606, Failure.CONFIGURATION),
        (400, 21611, Failure.TRANSIENT),
        (400, 21612, Failure.UNROUTABLE),
        (400, 21617, Failure.OUR_REQUEST),
        (401, 20003, Failure.CONFIGURATION),
        (429, 20429, Failure.TRANSIENT),
        (429, 99999, Failure.TRANSIENT),
        (429, 429, Failure.TRANSIENT),
        (400, 99999, Failure.PERMANENT),
        (418, 418, Failure.PERMANENT),
        (403, 403, Failure.CONFIGURATION),
        (404, 404, Failure.CONFIGURATION),
        (302, 302, Failure.CONFIGURATION),
    ],
)
def test_a_refusal_has_one_meaning(status: int, code: int, failure: Failure) -> None:
    assert failure_of(status, code) is failure


def test_nothing_that_reached_a_handset_or_was_blocked_is_repeated() -> None:
    repeated = {code for code, meaning in ERRORS.items() if meaning.failure is Failure.TRANSIENT}
    assert not repeated & {21610, 30004, 30005, 30006, 30007, 30034}


def test_what_did_not_arrive_for_now_is_sent_once_more_within_bounds() -> None:
    assert again("30003") == Again(after=1800, times=2)
    assert (again("30005"), again("99999"), again("x")) == (None, None, None)
    late = {code: meaning for code, meaning in ERRORS.items() if meaning.late_tries}
    assert all(meaning.failure is Failure.TRANSIENT for meaning in late.values())
    assert all(60 <= (meaning.retry_after or 0) <= 86_400 for meaning in late.values())
    assert max(meaning.late_tries for meaning in late.values()) == 2


def test_what_one_recipient_can_bring_about_stops_no_sender() -> None:
    """Whoever texts from a forbidden region, or has the agent say what carriers filter, stops only that."""
    stopping = {code for code, meaning in ERRORS.items() if meaning.failure is Failure.CONFIGURATION}
    assert not stopping & {21215, 21408, 21219, 21608, 21610, 21612, 30004, 30007}


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("30003", Failure.TRANSIENT),
        ("30005", Failure.BAD_ADDRESS),
        ("21610", Failure.OPTED_OUT),
        ("30034", Failure.CONFIGURATION),
        ("99999", Failure.PERMANENT),
        ("soon", Failure.PERMANENT),
    ],
)
def test_a_code_in_a_callback_has_one_meaning(code: str, failure: Failure) -> None:
    assert failure_in_callback(code) is failure


def test_a_full_queue_says_how_long_to_wait() -> None:
    assert retry_after(21611) == 120
    assert retry_after(20429) is None
    assert retry_after(1) is None


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("queued", PartState.ACCEPTED),
        ("sending", PartState.ACCEPTED),
        ("sent", PartState.SENT),
        ("delivered", PartState.DELIVERED),
        ("read", PartState.DELIVERED),
        ("undelivered", PartState.FAILED),
        ("failed", PartState.FAILED),
        ("canceled", PartState.CANCELED),
        ("partially_delivered", PartState.UNKNOWN),
        ("", PartState.UNKNOWN),
        ("Delivered", PartState.UNKNOWN),
    ],
)
def test_a_status_has_one_state(status: str, state: PartState) -> None:
    assert part_state(status) is state


def test_an_unknown_status_changes_no_part_that_was_taken() -> None:
    assert all(PartState.UNKNOWN.rank < state.rank for state in PART_STATES.values())


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        ("+15550123", "+15550123"),
        ("12345", "shortcode:12345"),
        ("123456789", "alpha:123456789"),
        ("+0123456", "alpha:+0123456"),
        ("+1555０123", "alpha:+1555０123"),
        ("EXAMPLE", "alpha:EXAMPLE"),
        ("whatsapp:+15550123", "whatsapp:+15550123"),
        ("sip:alice@example.org", "sip:alice@example.org"),
    ],
)
def test_an_address_comes_back_as_the_provider_wrote_it(raw: str, canonical: str) -> None:
    assert canonical_sender(raw) == canonical
    assert provider_address(canonical) == raw


def test_withheld_numbers_are_recognised() -> None:
    assert is_withheld("ANONYMOUS")
    assert is_withheld("+266696687")
    assert not is_withheld("+15550123")


@pytest.mark.parametrize("tokens", [(), ("",)])
def test_webhooks_cannot_be_proven_without_a_token(tokens: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="token"):
        TwilioCredentials(account_sid=None, auth_tokens=tokens)


def test_credentials_do_not_show_their_tokens() -> None:
    assert "secret" not in repr(TwilioCredentials(account_sid="AC1", auth_tokens=("secret",)))
