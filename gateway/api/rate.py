"""How fast a key may ask: a token bucket a key, in the memory of this process.

Every `serve` process counts for itself, so what a key gets in all grows with their number.
"""

from collections import OrderedDict
from collections.abc import Callable

from gateway.domain.clock import Clock
from gateway.domain.errors import ErrorCode, GatewayError

_MAX_KNOWN = 10_000
"""Keys that are remembered; who has not asked for longest is forgotten, and begins with a full bucket."""


class RateLimiter:
    """Counts the requests of each key."""

    def __init__(self, clock: Clock, limits: Callable[[], tuple[int, int]]) -> None:
        """`limits`: requests a second, and how many at once, in force now."""
        self._clock = clock
        self._limits = limits
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> None:
        """Count one request. Raises GatewayError `rate_limited`: a second later there is room again."""
        rate, burst = self._limits()
        now = self._clock.monotonic()
        left, since = self._buckets.get(key, (float(burst), now))
        left = min(float(burst), left + (now - since) * rate)
        refused = left < 1
        self._buckets[key] = left if refused else left - 1, now
        self._buckets.move_to_end(key)
        if len(self._buckets) > _MAX_KNOWN:
            self._buckets.popitem(last=False)
        if refused:
            raise GatewayError(
                ErrorCode.RATE_LIMITED,
                f"this key may ask {rate} times a second; wait as long as Retry-After says",
            )
