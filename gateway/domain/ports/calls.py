"""Calls that we begin: their way out, and what their providers say about them."""

from collections.abc import Sequence
from typing import Protocol

from gateway.domain.delivery import OutcomeUnknown, SendOutcome
from gateway.domain.outgoing_call import (
    AnsweredReport,
    CallReport,
    Command,
    Found,
    OutgoingCall,
    Recording,
    Standing,
)


class Caller(Protocol):
    """The way out for calls through one provider."""

    @property
    def provider(self) -> str:
        """The provider's name, as stored with a call."""
        ...

    async def dial(self, call: OutgoingCall, timeout: float) -> SendOutcome:
        """Begin the call within `timeout` seconds. Never raises for the provider's faults."""
        ...

    async def find(self, call: OutgoingCall) -> Found | OutcomeUnknown | None:
        """Whether the provider has a call whose outcome was not learnt; None: it has not."""
        ...

    async def look(self, call_id: str) -> Found | OutcomeUnknown | None:
        """How a call stands; None: the provider does not know it (any more)."""
        ...

    async def tell(self, call: OutgoingCall, command: Command, timeout: float) -> SendOutcome:
        """Hang up, or leave a message, within `timeout` seconds; `Taken` also where the call is over."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


class CallReports(Protocol):
    """Takes what a provider says about calls; every method may raise Unavailable (retryable)."""

    async def progress(self, report: CallReport) -> Standing:
        """A call of ours has come so far. Idempotent and order-safe."""
        ...

    async def answered_by(self, report: AnsweredReport) -> None:
        """Machine detection has come to a result; the first counts."""
        ...

    async def leaves_message(self, conversation_id: str, call_id: str) -> None:
        """A call has come to where a machine is left its message: it is not sent there again."""
        ...

    async def recorded(self, recording: Recording) -> None:
        """A recording can be fetched. Idempotent; of a call we do not know it changes nothing."""
        ...


class BoundCalls(Protocol):
    """Which of a provider's calls belong to conversations already."""

    async def __call__(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that do."""
        ...


class CallConnections(Protocol):
    """Who has a call whose host makes one connection after the other. Every method raises GatewayError."""

    async def connect(self, provider: str, call_id: str) -> int | None:
        """A connection of a call begins, and has it: its number; None where no such call is up."""
        ...

    async def take(self, provider: str, call_id: str, number: int) -> int | None:
        """Take a call over from the connection of this number, which is lost: the number it has now.

        None where another connection has it, or it is over.
        """
        ...
