"""What quotes a person is known by their address in any writing; what only looks alike is not."""

from urllib.parse import quote

from hypothesis import given
from hypothesis.strategies import from_regex, sampled_from, text

from gateway.domain.identity import UNVERIFIED, Address, ContactKind
from gateway.domain.quotes import Quotes

PHONE = Address(ContactKind.PHONE, "+14155550123")
MAILBOX = Address(ContactKind.EMAIL, "ada.l+shop@example.com")
ID = "01990000-0000-7000-8000-000000000001"
AROUND = text(alphabet=' \n\t"<>:;,=&()[]{}/', max_size=5)


@given(
    AROUND,
    AROUND,
    sampled_from(
        [
            PHONE.value,
            quote(PHONE.value),
            PHONE.value.lstrip("+"),
            MAILBOX.value,
            MAILBOX.value.upper(),
            quote(MAILBOX.value, safe="@"),
            quote(MAILBOX.value),
            ID,
            ID.upper(),
        ]
    ),
)
def test_every_writing_is_found(before: str, after: str, written: str) -> None:
    quotes = Quotes([PHONE, MAILBOX], [ID])
    assert quotes.found_in(f"x{before or ' '}{written}{after or ' '}x")


@given(from_regex(r"[0-9]{1,3}", fullmatch=True), from_regex(r"[a-z0-9]{1,3}", fullmatch=True))
def test_another_s_address_is_not(digits: str, letters: str) -> None:
    quotes = Quotes([PHONE, MAILBOX], [ID])
    for other in (
        f"{PHONE.value}{digits}",
        f"+{digits}{PHONE.value.lstrip('+')}",
        f"{letters}{MAILBOX.value}",
        f"{letters}.{MAILBOX.value}",
        f"{MAILBOX.value}{letters}",
        f"{MAILBOX.value}.{letters}",
    ):
        assert not quotes.found_in(other)


def test_a_mailbox_at_the_end_of_a_sentence_is_found() -> None:
    assert Quotes([MAILBOX], []).found_in(f"Write to {MAILBOX.value}. Thanks")


def test_a_client_s_own_user_id_is_no_sign() -> None:
    quotes = Quotes([Address(ContactKind.USER, "7")], [])
    assert not quotes.found_in("7 of 7")


def test_what_was_only_claimed_is_found_by_the_mailbox() -> None:
    claimed = Address(ContactKind.EMAIL, f"{UNVERIFIED}{MAILBOX.value}")
    assert Quotes([claimed], []).found_in(f"From: {MAILBOX.value}")
