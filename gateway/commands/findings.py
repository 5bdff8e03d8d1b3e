"""What `gateway doctor` reports: a line for each thing it looked at."""

from dataclasses import dataclass
from enum import StrEnum

SECONDS = 5.0
"""How long one check waits for an answer."""


class Verdict(StrEnum):
    """What came of a check."""

    OK = "ok"
    WARN = "warn"
    """Odd, but nothing stops."""
    SKIP = "skip"
    """Not configured."""
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    subject: str
    verdict: Verdict
    text: str
    """What is so, and where it should not be: what to do."""
