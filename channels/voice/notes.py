"""Lines in the log about calls."""

import logging

log = logging.getLogger(__name__)


def note(what: str, call_sid: str, **fields: str | int) -> None:
    """A line in the log, with nothing of what was said or pressed."""
    extra = {"action": f"voice.{what}", "call_sid": call_sid, **fields}
    log.warning("voice %s", what.replace("_", " "), extra=extra)
