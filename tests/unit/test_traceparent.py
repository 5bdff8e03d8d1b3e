"""The `traceparent` header (W3C Trace Context, level 1 and what level 2 adds)."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.tracing import new_traceparent, parse_traceparent
from gateway.tracing.w3c import MAX_LENGTH, format_traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
VALID = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[0-3]")

ids_of = {
    length: st.integers(1, 16**length - 1).map(lambda n, length=length: f"{n:0{length}x}")  # type: ignore[misc]
    for length in (32, 16)
}
flags = st.integers(0, 255)


@given(ids_of[32], ids_of[16], flags)
def test_what_is_written_is_read(trace_id: str, span_id: str, flag: int) -> None:
    header = format_traceparent(trace_id, span_id, flag)
    assert VALID.fullmatch(header)
    assert parse_traceparent(header) == header


@given(ids_of[32], ids_of[16], flags)
def test_reserved_flags_are_not_passed_on(trace_id: str, span_id: str, flag: int) -> None:
    assert parse_traceparent(f"00-{trace_id}-{span_id}-{flag:02x}") == (
        f"00-{trace_id}-{span_id}-{flag & 3:02x}"
    )


@given(st.integers(1, 254), ids_of[32], ids_of[16], st.from_regex(r"(-[0-9a-z-]{0,40})?", fullmatch=True))
def test_of_a_later_version_what_is_known_is_read(
    version: int, trace_id: str, span_id: str, more: str
) -> None:
    header = f"{version:02x}-{trace_id}-{span_id}-01{more}"
    assert parse_traceparent(header) == f"00-{trace_id}-{span_id}-01"


@given(st.text() | st.from_regex(r"[0-9a-fA-F]{2}-[0-9a-f]{30,33}-[0-9a-f]{15,17}-[0-9a-f]{1,3}.{0,3}"))
@example("00-" + "0" * 32 + "-" + "1" * 16 + "-01")
def test_whatever_comes_is_valid_or_nothing(text: str) -> None:
    header = parse_traceparent(text)
    assert header is None or VALID.fullmatch(header)


@pytest.mark.parametrize(
    "header",
    [
        None,
        1,
        VALID,
        f"00-{TRACE}-{SPAN}-01".encode(),
        "",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01 ",
        f"00-{TRACE}-{SPAN}-01\n",
        f"ff-{TRACE}-{SPAN}-01",
        f"01-{TRACE}-{SPAN}-01more",
        f"01-{TRACE}-{SPAN}-01-" + "x" * MAX_LENGTH,
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-0x",
        f"00-{TRACE.replace('0', '٠')}-{SPAN}-01",
    ],
)
def test_what_is_not_valid_begins_a_new_trace(header: object) -> None:
    assert parse_traceparent(header) is None


def test_new_ones_are_valid_and_differ() -> None:
    made = {new_traceparent() for _ in range(1000)}
    assert len({header[3:35] for header in made}) == 1000
    assert all(parse_traceparent(header) == header for header in made)
    assert all(header.endswith("-01") for header in made), "whoever comes after may record"
