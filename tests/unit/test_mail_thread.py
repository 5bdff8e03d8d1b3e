"""Reply addresses, message ids of ours, References and subjects."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.email.thread import (
    REPLY_ADDRESS_LIFE,
    ThreadMarks,
    made_id,
    read_ids,
    references,
    reply_subject,
    thread_mark,
)
from gateway.domain.ids import new_id
from gateway.domain.subject import answered_subject

MARKS = ThreadMarks("mail.example.org", (b"new secret", b"old secret"))
OLD = ThreadMarks("mail.example.org", (b"old secret",))
STRANGER = ThreadMarks("mail.example.org", (b"another",))
ANA = "ana@example.com"
NOW = 1_795_424_400_000_000


@given(
    st.uuids().map(str),
    st.sampled_from(["support@example.org", "us+eu@example.org", "fifteen-letters@example.org"]),
)
def test_a_reply_address_names_its_conversation_to_whom_it_was_mailed(
    conversation_id: str, ours: str
) -> None:
    address = MARKS.reply_address(conversation_id, ours, ANA, NOW)
    assert len(address.rpartition("@")[0]) <= 64
    assert address.startswith(ours.partition("@")[0] + "+")
    assert address.endswith("@example.org")
    assert address == address.lower()
    assert MARKS.read_reply_address(address, ANA, NOW) == conversation_id
    assert MARKS.read_reply_address(address.upper(), ANA, NOW) == conversation_id
    assert MARKS.read_reply_address(address, "eve@example.com", NOW) is None


@given(st.uuids().map(str))
def test_a_return_path_names_its_delivery(delivery_id: str) -> None:
    path = MARKS.return_path(delivery_id)
    assert len(path.rpartition("@")[0]) <= 64
    assert MARKS.delivery_of_return_path(path.upper()) == delivery_id
    assert MARKS.delivery_of_return_path(path.replace("@mail.", "@")) is None
    assert MARKS.delivery_of_return_path(STRANGER.return_path(delivery_id)) is None
    assert MARKS.delivery_of_return_path(OLD.return_path(delivery_id)) == delivery_id
    assert MARKS.delivery_of_return_path(path.replace("bounces+", "bounces+a")) is None


def test_a_message_id_of_ours_names_its_message() -> None:
    conversation_id, message_id = new_id(), new_id()
    own = MARKS.message_id(conversation_id, message_id)
    assert MARKS.message_of_message_id(own.upper()) == message_id
    assert MARKS.message_of_message_id(STRANGER.message_id(conversation_id, message_id)) is None


def test_a_long_local_part_has_no_room_for_a_token() -> None:
    ours = "sixteen--letters@example.org"
    assert MARKS.reply_address(new_id(), ours, ANA, NOW) == ours


def test_a_reply_address_made_with_the_old_secret_still_counts() -> None:
    conversation_id = new_id()
    address = OLD.reply_address(conversation_id, "s@x.org", ANA, NOW)
    assert MARKS.read_reply_address(address, ANA, NOW) == conversation_id


def test_forged_changed_and_expired_reply_addresses_name_nothing() -> None:
    address = MARKS.reply_address(new_id(), "s@x.org", ANA, NOW)
    local, _, domain = address.rpartition("@")
    changed = local[:-5] + ("a" if local[-5] != "a" else "b") + local[-4:]
    forged = STRANGER.reply_address(new_id(), "s@x.org", ANA, NOW)
    assert MARKS.read_reply_address(forged, ANA, NOW) is None
    assert MARKS.read_reply_address(f"{changed}@{domain}", ANA, NOW) is None
    assert MARKS.read_reply_address(address, ANA, NOW + REPLY_ADDRESS_LIFE + 1) is None
    assert MARKS.read_reply_address("s@x.org", ANA, NOW) is None


@given(st.uuids().map(str), st.uuids().map(str))
def test_a_message_id_of_ours_names_its_conversation(conversation_id: str, message_id: str) -> None:
    own = MARKS.message_id(conversation_id, message_id)
    assert own == MARKS.message_id(conversation_id, message_id)
    assert MARKS.conversation_of_message_id(own) == conversation_id
    assert MARKS.conversation_of_message_id(read_ids(own.upper())[0]) == conversation_id
    assert STRANGER.conversation_of_message_id(own) is None
    assert MARKS.conversation_of_message_id(OLD.message_id(conversation_id, message_id)) == conversation_id


@given(st.text(max_size=120))
def test_any_text_is_asked_for_marks(text: str) -> None:
    assert MARKS.read_reply_address(text, ANA, NOW) is None
    assert MARKS.conversation_of_message_id(text) is None
    assert all(id_.startswith("<") and id_.endswith(">") for id_ in read_ids(text))


@pytest.mark.parametrize(
    ("header", "ids"),
    [
        ("<A@x> <b@\t x>", ("<A@x>", "<b@x>")),
        ("<a@x><b@x>, <a@x>", ("<a@x>", "<b@x>")),
        ("a@x, b@x", ("<a@x>", "<b@x>")),
        ("<a@x> <truncated@", ("<a@x>",)),
        ("<" + "x" * 600 + "@x>", ()),
        ("", ()),
    ],
)
def test_read_ids(header: str, ids: tuple[str, ...]) -> None:
    assert read_ids(header) == ids


def test_references_keep_the_first_and_the_last() -> None:
    made = references([f"<{i}@x>" for i in range(60)], "<60@x>")
    assert len(made) == 20
    assert (made[0], made[1], made[-1]) == ("<0@x>", "<42@x>", "<60@x>")


def test_references_stay_below_8_kb_and_hold_only_real_ids() -> None:
    long = [f"<{i}{'x' * 500}@x>" for i in range(20)]
    assert len("\r\n ".join(references(long, "<last@x>"))) < 8_192
    assert references([made_id(b"x"), "<a b@x>", "<é@x>", "<a@x>\r\nBcc: y", "<ok@x>"], None) == ("<ok@x>",)
    assert references(["<b@x>", "<a@x>"], "<b@x>") == ("<a@x>", "<b@x>")


@pytest.mark.parametrize(
    ("subject", "reply"),
    [
        ("Bill  42", "Re: Bill  42"),
        ("RE: Bill", "RE: Bill"),
        ("re[2]: Bill", "re[2]: Bill"),
        ("AW: Rechnung", "AW: Rechnung"),
        ("Regarding: x", "Re: Regarding: x"),
        ("", "Re:"),
    ],
)
def test_reply_subject(subject: str, reply: str) -> None:
    assert reply_subject(subject) == reply
    assert reply_subject(reply) == reply


@pytest.mark.parametrize(
    ("subject", "answered"),
    [
        ("Re: Your bill", "your bill"),
        ("AW: Re[2]: Your   Bill ", "your bill"),
        ("回复：您的账单是多少", "您的账单是多少"),
        ("Your bill", None),
        ("Re: Hi", None),
        ("Re:" * 50, None),
        ("", None),
    ],
)
def test_which_subject_a_reply_answers(subject: str, answered: str | None) -> None:
    assert answered_subject(subject) == answered


def test_outlooks_mark_of_a_thread_stays_when_it_grows() -> None:
    first = b64encode(bytes(range(22))).decode()
    grown = b64encode(bytes(range(32))).decode()
    assert thread_mark(first) == thread_mark(grown) == f"thread-index:{bytes(range(22)).hex()}"
    assert thread_mark(f"{grown[:20]}\r\n {grown[20:]}") == thread_mark(grown)
    for bad in ("", "AAAA", "not base64!", "ä" * 40):
        assert thread_mark(bad) is None
