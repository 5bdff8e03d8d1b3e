"""The seam for channels whose answer goes back on the same connection: a phone call, turn by turn."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.conversation import Status
from gateway.domain.message import InboundMessage, Message
from gateway.domain.turn import Said, TurnOutcome


@dataclass(frozen=True, slots=True)
class CallNews:
    """How a call's conversation stands, and what it has to be told."""

    status: Status
    said: tuple[Message, ...]
    """To the end user, by the agent or a person, in order."""
    waits: bool = False
    """Whether something that they have said is not answered yet: where the agent is paused, say."""


class EndCall(Protocol):
    """For whoever learns that a call is over."""

    async def end(self, message: InboundMessage) -> None:
        """The call is over: record the event; its conversation closes as is configured for that."""
        ...


class Dialogue(EndCall, Protocol):
    """For channels whose answer goes back on the same connection (a phone call's webhooks)."""

    def stream(self, message: InboundMessage) -> AsyncGenerator[Said | TurnOutcome, None]:
        """Accept a message and show its turn as it is made; the outcome comes last. Raises GatewayError.

        The first piece is empty: from then on the message is stored, whatever becomes of the stream.
        """
        ...

    async def interrupt(
        self, provider: str, provider_message_id: str, sent: str, heard: str
    ) -> TurnOutcome | None:
        """The reply to a message was spoken over: of `sent`, which was shown, only the beginning `heard` was.

        A turn that is still running is over with that, and its agent is stopped. The turn's outcome where it
        was over already, else None.
        """
        ...

    async def news(self, conversation_id: str, since: int) -> CallNews:
        """How the conversation stands, and what was said to the end user after message `since`."""
        ...

    async def ask(self, message: InboundMessage, wait: float) -> TurnOutcome | None:
        """Accept a message and wait at most `wait` seconds for its turn; None when it takes longer."""
        ...

    async def outcome(self, provider: str, provider_message_id: str, wait: float) -> TurnOutcome | None:
        """The turn of a message accepted before; None when it is still running."""
        ...

    async def take_transfer(
        self, conversation_id: str, provider: str, provider_message_id: str
    ) -> TurnOutcome | None:
        """The turn whose transfer the conversation waits for and nobody has begun, nor a person has.

        From now on it is known as what this input has led to, too. None where there is none.
        """
        ...
