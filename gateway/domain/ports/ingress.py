"""What the channels' ways in are handed: they prove and parse, and this takes what they made of it."""

from typing import Protocol

from gateway.domain.mail_report import MailReport
from gateway.domain.message import Accepted, Channel, InboundMessage


class Accept(Protocol):
    """Stores an inbound message durably; what every ingress adapter is handed."""

    async def __call__(self, message: InboundMessage) -> Accepted:
        """Raises UnknownAddress, or Unavailable (retryable; nothing was stored)."""
        ...

    def serves(self, channel: Channel, address: str) -> bool:
        """Whether this canonical address is one of ours."""
        ...


class BindToken(Protocol):
    """Binds a token that a provider has signed to the content it came with, over all processes."""

    async def __call__(self, provider: str, token: str, digest: str) -> bool:
        """False where the token came with another content before. Raises Unavailable (retryable)."""
        ...


class TakeReport(Protocol):
    """Takes what a server reports about a mail of ours."""

    async def __call__(self, report: MailReport) -> None:
        """Idempotent but for what a machine wrote; raises Unavailable (retryable)."""
        ...
