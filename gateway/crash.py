"""Kills this process at a named place, as `kill -9` would: for tests of what happens then.

Nothing is armed unless GATEWAY_CRASH_AT names the place, which only a test does.
"""

import os
import signal

from gateway.domain.crash_point import CrashPoint

_armed: CrashPoint | None = None


def arm(point: CrashPoint | None) -> None:
    """Have the process killed when it reaches this place; None: nowhere."""
    global _armed
    _armed = point


def reach(point: CrashPoint) -> None:
    """A place is reached. Does not return where it is the armed one."""
    if point is _armed:
        os.kill(os.getpid(), signal.SIGKILL)
