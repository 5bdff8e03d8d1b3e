"""How much is answered: so that no two machines talk for ever, and no sender pumps up our bill."""

from dataclasses import dataclass
from typing import Final

MOST = 150
"""The largest bound: so many of a conversation's newest messages are looked at, for each side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Bounds of texts and mails; 0: none. What is beyond is stored, and not answered."""

    messages_per_hour: int = 120
    """Texts of one sender, to all our numbers."""
    answers_per_hour: int = 60
    """Of the agent in one conversation by text."""
    domain_messages_per_hour: int = 10_000
    """Mails of proven senders of one domain, whichever of its mailboxes; a large provider's is one, too."""


DEFAULT_PACE: Final = Pace()
