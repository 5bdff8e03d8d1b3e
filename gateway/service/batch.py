"""How much of what is due one unit of work takes, and what it leaves out.

A row that cannot be worked off fails its whole unit; the others that were due with it are not to wait for it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Batch:
    """So many rows, the oldest first; `past` even older ones are left out."""

    limit: int
    past: int = 0


AT_ONCE = 25
"""The most rows of a kind that one unit decides, ends or speaks on."""
BATCH = Batch(AT_ONCE)
