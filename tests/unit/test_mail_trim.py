"""The new text: general rules, nothing of the sender's own lost, and linear time."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.email.trim import REPLY_MARKER, trim

CUT = {
    "gmail": "Yes.\n\nOn Mon, Nov 23, 2026 at 9:00 AM Support <s@example.org> wrote:\n> Really?\n>\n> S",
    "wrapped header": "Yes.\n\nOn Mon, Nov 23, 2026 at 9:00 AM Support\n<s@example.org>\nwrote:\n> Really?",
    "german": "Yes.\n\nAm 23.11.2026 um 09:00 schrieb Support <s@example.org>:\n> Wirklich?",
    "french": "Yes.\n\nLe lun. 23 nov. 2026 à 09:00, Support <s@example.org> a écrit :\n> Vraiment ?",
    "spanish": "Yes.\n\nEl lun, 23 nov 2026 a las 9:00, Support (<s@example.org>) escribió:\n> ¿De veras?",
    "unmarked quote": "Yes.\n\nOn Mon, Nov 23, 2026 at 9:00 AM Support <s@example.org> wrote:\nReally?\nS",
    "no header": "Yes.\n\n> Really?\n> S",
    "outlook": "Yes.\n\n__________\nFrom: S <s@x.org>\nSent: Monday\nTo: A\nSubject: X\n\nReally?",
    "outlook german": "Yes.\n\nVon: S\nGesendet: Montag\nAn: A\nBetreff: X\n\nWirklich?",
    "original message": "Yes.\n\n-----Original Message-----\nFrom: S\nReally?",
    "own marker": f"Yes.\n\nבתאריך\n> {REPLY_MARKER}\n> Really?",
    "signature": "Yes.\n-- \nAna\nExample Ltd",
    "telephone": "Yes.\n\nSent from my iPhone",
    "framed": "Yes.\n\n---- On Mon, 23 Nov 2026 09:00:00 +0100 Support wrote ----\n\nReally?",
    "framed german": "Yes.\n\n---Am Mo., 23. Nov. 2026 schrieb Support---\nWirklich?",
    "date and address": "Yes.\n\n2026/11/23 Support <s@example.org>\n\n> Really?",
    "no sender": "Yes.\n\nDate: Mon, 23 Nov 2026 09:00\nTo: ana@x.org\nSubject: Bill\n\nReally?",
    "bottom posting": "On Mon, 23 Nov 2026, S wrote:\n> Really?\n\nYes.",
}


@pytest.mark.parametrize("name", CUT)
def test_history_is_cut(name: str) -> None:
    new = trim(CUT[name]).new_text
    assert new.removesuffix("\n\nבתאריך") == "Yes."


KEPT = {
    "inline reply": "Hi,\n> first?\nyes\n> second?\nno",
    "sentence with colon": "On Monday we met. Then he wrote this:\nbuy milk",
    "list": "I need:\n- milk\n- eggs",
    "own from": "From: the start\nwe knew it.",
    "telephone sentence": "Hi\n\nSent from my desk, it is easier than from a telephone.",
    "code": "This fails:\n\nif a > b:\n    x",
    "own table": "Please change it:\nDate: 2026-11-23\nTo: ana@x.org\nAmount: 5",
    "own heading": "Hi\n\n--- What I wrote before ---\nbuy milk",
    "a visit": "We met:\n\n2026/11/23 Ana <ana@x.org>\n2026/11/24 Bo <bo@x.org>",
    "sentence above a quote": "I wrote it yesterday.\n\n> Really?\n\nAnd sent it.",
    "only a quote": "> Really?",
    "dashes": "a\n-----\nb",
}


@pytest.mark.parametrize("name", KEPT)
def test_own_text_is_kept(name: str) -> None:
    assert trim(KEPT[name]).new_text == KEPT[name]


def test_a_forward_is_kept_whole() -> None:
    text = "See below.\n\n-------- Forwarded message -------\nFrom: A\nDate: Mon\nSubject: S\nTo: B\n\nHello"
    assert trim(text) == trim(text, "Fwd: S")
    assert trim(text).forwarded
    assert trim(text).new_text == text


def test_an_outlook_block_is_a_forward_by_its_subject() -> None:
    text = "See below.\n\nFrom: A\nSent: Monday\nTo: B\nSubject: S\n\nHello"
    assert trim(text, "FW: S").forwarded
    assert not trim(text, "RE: S").forwarded


HOSTILE = [
    " ", "On ", "On Thursday:\n", ">", "> ", "<", "-", "_", "From:\n",
    "From: a@b.c\nDate: 1.1.2020\n", "a@b.c 2026 :\n", "1.1.2020 <a@b.c>:\n",
    "On 1.1.2020 wrote:\n", "> a\nb\n", "--\n", "wrote:", "x" * 999 + ":\n", "1", "(a@", "[", "(",
    "\n", "> \n", "=?", "---- ", "Sent from my iPhone\n", "____\nconfidential ", "*", "&lt;",
    "\u200b", "\u5e74",
]  # fmt: skip


def seconds(work: Callable[[str], object], text: str) -> float:
    """The least processor time of three runs."""

    def once() -> float:
        began = time.process_time()
        work(text)
        return time.process_time() - began

    return min(once() for _ in range(3))


@pytest.mark.parametrize("piece", HOSTILE, ids=lambda piece: repr(piece[:14]))
def test_four_times_the_text_takes_no_sixteen_times_as_long(piece: str) -> None:
    short, long = piece * (25_000 // len(piece)), piece * (100_000 // len(piece))
    assert seconds(trim, long) < 9 * seconds(trim, short) + 0.02


LINES = st.sampled_from(
    (
        "|> q|own|-- |From: a|Sent: b|To: c|On 2026-11-23 a@b.c wrote:|---- Original Message ----|>> q"
        f"|Sent from my iPhone|________|{REPLY_MARKER}"
    ).split("|")
)


@given(st.lists(LINES, max_size=30))
def test_what_is_new_was_there_in_its_order_and_is_never_empty(lines: list[str]) -> None:
    text = "\n".join(lines)
    trimmed = trim(text)
    left = iter(lines)
    assert all(any(kept == line.rstrip() for line in left) for kept in trimmed.new_text.split("\n") if kept)
    assert bool(trimmed.new_text.strip()) == bool(text.strip())


SENTENCES = (
    "Yes.",
    "I wrote it yesterday.",
    "See you on Monday at 10:30",
    "- milk",
    "Order 1001: two pieces",
    "It is more, 5 > 3.",
    "From Berlin to Rome",
    "",
    "Kind regards",
    "Ana",
)
SAID = st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=12).filter(lambda lines: bool(lines[0]))
OWN_MARKS = ("own marker", "bottom posting", "signature", "telephone")
BELOW = st.sampled_from(
    [text.removeprefix("Yes.\n\n") for name, text in CUT.items() if name not in OWN_MARKS]
)


@given(SAID, BELOW)
def test_what_stands_below_changes_nothing_and_what_is_left_is_left_whole(
    said: list[str], below: str
) -> None:
    alone = trim("\n".join(said)).new_text
    once = trim("\n".join(said) + "\n\n" + below).new_text
    assert once == alone
    assert trim(once).new_text == once
