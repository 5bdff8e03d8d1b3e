"""Quiet hours: when somebody is not to be written to unasked, by the clocks where they may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.domain.clock import SECOND

HELD_AT_MOST: Final = 12 * 3600 * SECOND
"""After its time, a message that was held is not sent any more, µs."""
_STEP = timedelta(minutes=15)
_STEPS = 4 * 24 * 3
"""Three days: zones that are far apart may leave little of a day, or nothing."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """The part of the day, in the end user's own time, in which nothing is sent; it may span midnight."""

    start: time
    end: time

    def cover(self, local: time) -> bool:
        """Whether this time of the day is quiet."""
        if self.start < self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end


@lru_cache(maxsize=4096)
def zones_of(number: str) -> tuple[str, ...]:
    """The time zones in which a number in E.164 may be; UTC for what is no number, or of nowhere.

    A number of a large country may be in several: whoever asks minds them all.
    """
    import phonenumbers
    from phonenumbers import timezone  # its tables cost memory, and few need them

    try:
        found = timezone.time_zones_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return ("UTC",)
    return tuple(zone for zone in found if zone != timezone.UNKNOWN_TIMEZONE) or ("UTC",)


def quiet_until(at: int, zones: Sequence[str], quiet: QuietHours) -> int | None:
    """When it is quiet in none of the zones any more, µs; None where that is so at `at`, or never is."""
    clocks = [_zone(zone) for zone in zones]

    def silent(moment: datetime) -> bool:
        return any(quiet.cover(moment.astimezone(clock).time()) for clock in clocks)

    moment = datetime.fromtimestamp(at / SECOND, UTC)
    if not silent(moment):
        return None
    moment = moment.replace(minute=moment.minute - moment.minute % 15, second=0, microsecond=0)
    for _ in range(_STEPS):
        moment += _STEP
        if not silent(moment):
            return int(moment.timestamp()) * SECOND
    return None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
