"""Lines in the log about calls."""

import logging

from channels.voice.calls import Call

log = logging.getLogger(__name__)


def note(what: str, call: Call, **fields: str) -> None:
    """A line in the log, with nothing of what was said or pressed."""
    extra = {"action": f"voice.{what}", "call_sid": call.sid, **fields}
    log.warning("voice %s", what.replace("_", " "), extra=extra)
