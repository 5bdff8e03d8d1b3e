"""The `Dialogue` port: channels whose answer goes back on the connection of the question (phone calls)."""

from collections.abc import AsyncGenerator
from dataclasses import replace

from gateway.domain.message import InboundMessage
from gateway.domain.ports.dialogue import CallNews, EndCall
from gateway.domain.ports.ingress import Accept
from gateway.domain.ports.store import Store
from gateway.domain.turn import Said, TurnOutcome
from gateway.service.ask import Waiting
from gateway.service.interrupt import Reach, interrupt, news
from gateway.service.outcomes import message_of_receipt
from gateway.service.take_transfer import take_transfer


class Dialogues:
    """What is said in a call, and what the call has to be told."""

    def __init__(
        self,
        store: Store,
        accept: Accept,
        waiting: Waiting,
        ends: EndCall,
        *,
        organization_id: str,
        partitions: int,
    ) -> None:
        self._store = store
        self._accept = accept
        self._waiting = waiting
        self._ends = ends
        self._organization_id = organization_id
        self._partitions = partitions

    async def ask(self, message: InboundMessage, wait: float) -> TurnOutcome | None:
        """Accept a message and wait at most `wait` seconds for its turn."""
        accepted = await self._accept(replace(message, reply_to=self._waiting.address))
        return await self._waiting.wait(accepted.conversation_id, accepted.message_id, wait)

    def stream(self, message: InboundMessage) -> AsyncGenerator[Said | TurnOutcome, None]:
        """Accept a message and show its turn as it is made; the outcome comes last. Raises GatewayError."""
        return self._waiting.stream_message(message, self._accept)

    async def interrupt(
        self, provider: str, provider_message_id: str, sent: str, heard: str
    ) -> TurnOutcome | None:
        """The reply to a message was spoken over: of `sent` only `heard` was. Its turn, if it was over."""
        return await self._store.write(
            interrupt,
            self._organization_id,
            (provider, provider_message_id),
            Reach(sent, heard),
            self._partitions,
        )

    async def news(self, conversation_id: str, since: int) -> CallNews:
        """How the conversation stands, and what was said to the end user after message `since`."""
        return await self._store.read(news, self._organization_id, conversation_id, since)

    async def outcome(self, provider: str, provider_message_id: str, wait: float) -> TurnOutcome | None:
        """The turn of a message accepted before; None when it is not over, or there is none."""
        known = await self._store.read(
            message_of_receipt, self._organization_id, provider, provider_message_id
        )
        return None if known is None else await self._waiting.wait(*known, wait)

    async def take_transfer(
        self, conversation_id: str, provider: str, provider_message_id: str
    ) -> TurnOutcome | None:
        """The turn whose transfer the conversation waits for and nobody has begun; now of this input, too."""
        return await self._store.write(
            take_transfer, self._organization_id, conversation_id, provider, provider_message_id
        )

    async def end(self, message: InboundMessage) -> None:
        """The call is over: record the event; its conversation closes as is configured for that."""
        await self._ends.end(message)
