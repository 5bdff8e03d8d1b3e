"""Cursors: what was given out is understood, anything else is refused."""

from base64 import urlsafe_b64decode
from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.cursors import MAX_CURSOR, position_cursor, read_position, read_seq, seq_cursor
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.service.browse import Position


@given(st.integers(0, 10**18 - 1), st.uuids())
def test_positions_come_back(at: int, identifier: UUID) -> None:
    position = Position(at, str(identifier))
    cursor = position_cursor(position)
    assert cursor is not None
    assert len(cursor) <= MAX_CURSOR
    assert read_position(cursor) == position
    with pytest.raises(GatewayError):
        read_seq(cursor)


@given(st.integers(-1, 10**18 - 1))
def test_seqs_come_back(seq: int) -> None:
    assert read_seq(seq_cursor(seq)) == seq
    with pytest.raises(GatewayError):
        read_position(seq_cursor(seq))


def test_no_cursor_is_the_beginning() -> None:
    assert (read_position(None), position_cursor(None), read_seq(None)) == (None, None, -1)


@given(st.text(max_size=MAX_CURSOR) | st.from_regex(r"[A-Za-z0-9_=-]{0,80}", fullmatch=True))
def test_anything_else_is_refused(text: str) -> None:
    for read in (read_position, read_seq):
        if not _reads(text, read):
            with pytest.raises(GatewayError) as refused:
                read(text)
            assert refused.value.code is ErrorCode.INVALID_CURSOR


def _reads(text: str, read: Callable[[str], object]) -> bool:
    """Whether the text happens to be one of ours, as decoded by hand."""
    try:
        plain = urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)).decode("ascii")
    except ValueError:
        return False
    head, _, tail = plain.partition(".")
    if read is read_seq:
        return plain.startswith("s") and (plain[1:] == "-1" or plain[1:].isdigit())
    return head.isdigit() and len(tail) == 36
