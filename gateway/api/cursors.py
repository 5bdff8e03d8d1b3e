"""Pages as clients read them: opaque cursors, the position after the last row, handed back unread."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any, TypeVar

from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.ids import parse_id
from gateway.service.browse import Page, Position

T = TypeVar("T")

MAX_CURSOR = 200
"""Characters."""
_POSITION = re.compile(r"([0-9]{1,18})\.([0-9a-f-]{36})")
_SEQ = re.compile(r"s(-1|[0-9]{1,18})")


def position_cursor(position: Position | None) -> str | None:
    """The cursor of a list ordered by time and id."""
    return None if position is None else _encode(f"{position.at}.{position.id}")


def page_fields(page: Page[T], shape: Callable[[T], object]) -> dict[str, Any]:
    """What every list has: a page's items in their shape, and where to read on."""
    return {
        "items": [shape(item) for item in page.items],
        "has_more": page.has_more,
        "next_cursor": position_cursor(page.end),
    }


def read_position(cursor: str | None) -> Position | None:
    """The position a cursor stands for. Raises GatewayError `invalid_cursor`."""
    if cursor is None:
        return None
    match = _POSITION.fullmatch(_decode(cursor))
    if match is None or parse_id(match[2]) != match[2]:
        raise _invalid()
    return Position(int(match[1]), match[2])


def seq_cursor(seq: int) -> str:
    """The cursor of a transcript: after the message with this seq; −1: before the first."""
    return _encode(f"s{seq}")


def read_seq(cursor: str | None) -> int:
    """The seq after which a transcript goes on. Raises GatewayError `invalid_cursor`."""
    if cursor is None:
        return -1
    match = _SEQ.fullmatch(_decode(cursor))
    if match is None:
        raise _invalid()
    return int(match[1])


def _encode(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str) -> str:
    if len(cursor) > MAX_CURSOR:
        raise _invalid()
    text = cursor.rstrip("=")
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except ValueError:
        raise _invalid() from None


def _invalid() -> GatewayError:
    return GatewayError(ErrorCode.INVALID_CURSOR, "this cursor is not one of this list's; begin without one")
