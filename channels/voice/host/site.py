"""What all calls of a host share, and how destinations are spelled there."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from channels.voice.host.cold import NOTIFY_SECONDS
from channels.voice.host.ledger import Ledger
from channels.voice.host.leg import Happenings, Leg
from channels.voice.host.queues import Link
from channels.voice.host.sip.message import sip_uri
from channels.voice.host.sip.transactions import Address, Transactions
from gateway.domain.clock import Clock

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
MAX_URI = 512


@dataclass(frozen=True, slots=True)
class Site:
    """One host, as its calls see it."""

    host_id: str
    layer: Transactions
    ledger: Ledger
    link: Link
    clock: Clock
    trunk: Address
    """Where calls of ours are sent first, whatever their URI says."""
    new_leg: Callable[[Happenings, str], Leg]
    """A leg whose requests find it; with the SIP Call-ID of a call that has come in, or ""."""
    notify_seconds: float = NOTIFY_SECONDS

    def uri_of(self, destination: str) -> str | None:
        """A destination as a SIP URI: a number at our trunk, a sip: URI as it is; None for anything else."""
        if _NUMBER.fullmatch(destination):
            return f"sip:{destination}@{self.trunk[0]}:{self.trunk[1]}"
        if len(destination) > MAX_URI or not re.fullmatch(r"[!-;=?-~]+", destination):
            return None
        try:
            sip_uri(destination)
        except ValueError:
            return None
        return destination
