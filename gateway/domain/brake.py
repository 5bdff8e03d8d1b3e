"""Brakes: what keeps an agent, or a whole organisation, from answering and sending.

A pause is a person's and lasts until it is lifted. It has nothing to do with the status `paused` of a
conversation, which is the voice host's hold of one call.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A pause that is in force. Time in µs, UTC."""

    subject_id: str
    """Of an agent, or of the organisation: everything of it."""
    reason: str | None
    set_by: str
    """The name of the API key, or of the command line."""
    set_at: int
