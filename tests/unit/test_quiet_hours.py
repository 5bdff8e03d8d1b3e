"""Quiet hours by the clocks of a number's zones."""

from datetime import UTC, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.clock import SECOND
from gateway.domain.quiet import QuietHours, quiet_until, zones_of

BOTH = ["America/New_York", "America/Los_Angeles"]
NIGHT = QuietHours(time(21), time(8))


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("moment", "zones", "until"),
    [
        ("2026-01-15T12:00:00+00:00", ["UTC"], None),
        ("2026-01-15T21:00:00+00:00", ["UTC"], "2026-01-16T08:00:00+00:00"),
        ("2026-01-15T07:59:59+00:00", ["UTC"], "2026-01-15T08:00:00+00:00"),
        ("2026-01-15T08:00:00+00:00", ["UTC"], None),
        ("2026-01-15T08:30:00+00:00", ["America/New_York"], "2026-01-15T13:00:00+00:00"),
        # quiet in one of them is quiet: the east goes to bed first, the west gets up last
        (
            "2026-01-16T03:00:00+00:00",
            BOTH,
            "2026-01-16T16:00:00+00:00",
        ),
        (
            "2026-01-15T15:00:00+00:00",
            BOTH,
            "2026-01-15T16:00:00+00:00",
        ),
        ("2026-01-15T02:10:00+00:00", ["Asia/Kolkata"], "2026-01-15T02:30:00+00:00"),
        ("2026-01-15T23:00:00+00:00", ["Not/AZone"], "2026-01-16T08:00:00+00:00"),
    ],
)
def test_until_when(moment: str, zones: list[str], until: str | None) -> None:
    assert quiet_until(at(moment), zones, NIGHT) == (None if until is None else at(until))


def test_zones_of_numbers() -> None:
    assert zones_of("+442079460018") == ("Europe/London",)
    assert zones_of("+14155550123") == ("America/Los_Angeles",)
    assert len(zones_of("+18005550123")) > 1
    assert zones_of("alpha:Bank") == ("UTC",)


_TIMES = st.times().map(lambda value: value.replace(second=0, microsecond=0, minute=value.minute // 15 * 15))


@given(st.integers(1_700_000_000, 1_800_000_000), _TIMES, _TIMES)
def test_the_end_is_later_and_not_quiet(moment: int, start: time, end: time) -> None:
    if start == end:
        return
    quiet = QuietHours(start, end)
    until = quiet_until(moment * SECOND, ["UTC"], quiet)
    assert (until is None) == (not quiet.cover(datetime.fromtimestamp(moment, UTC).time()))
    if until is not None:
        assert until > moment * SECOND
        assert not quiet.cover(datetime.fromtimestamp(until / SECOND, UTC).time())
