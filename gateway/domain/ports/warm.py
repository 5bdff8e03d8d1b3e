"""What a warm transfer of a held call needs from outside, and what the call's host is handed."""

from typing import Protocol

from gateway.domain.outcome import TransferReason
from gateway.domain.warm.held import HeldCall, HeldEvent, NewTransfer
from gateway.domain.warm.words import Dial


class WarmTransfers(Protocol):
    """Warm transfers of calls whose host asks what to do next. Every method raises GatewayError."""

    async def begin(self, new: NewTransfer) -> HeldCall | None:
        """The caller is on hold from now on; a transfer that has begun before is given as it stands.

        None where the conversation does not wait for a transfer (any more).
        """
        ...

    async def happened(
        self, transfer_id: str, event: HeldEvent, leg_id: str | None = None
    ) -> HeldCall | None:
        """Take in an event, and see that what follows is done; None where there is no such transfer."""
        ...

    async def find(self, transfer_id: str) -> HeldCall | None:
        """A transfer as it stands."""
        ...

    async def of_call(self, provider: str, call_id: str) -> HeldCall | None:
        """The newest transfer of a call."""
        ...


class KeptTransfers(Protocol):
    """Where transfers stand that a call's own connection moves. Every method raises GatewayError."""

    async def keep(self, held: HeldCall, holder: str) -> bool:
        """Store it; False where another connection of the call moves it now. `holder`: this one."""
        ...

    async def take_up(self, provider: str, call_id: str, holder: str) -> HeldCall | None:
        """The newest transfer of a call, which this connection moves from now on; None: there is none."""
        ...


class Legs(Protocol):
    """Calls to the persons that callers are transferred to."""

    async def dial(self, held: HeldCall, dial: Dial) -> str | TransferReason | None:
        """Call a person, once: the new call's id, or why there is none; None where that is not known.

        What becomes of the call is told by its callbacks.
        """
        ...

    async def recall(self, held: HeldCall, told: int) -> bool:
        """Have a caller ask again who waits for somebody; `told`: how many lines they have heard.

        False: try again later.
        """
        ...

    async def caller_left(self, held: HeldCall) -> bool:
        """Whether the caller is known to be there no more."""
        ...

    async def hang_up(self, leg_id: str) -> bool:
        """End a call in whatever state it is. False: try again later."""
        ...

    async def part(self, held: HeldCall, leg_id: str, text: str) -> bool:
        """End it when this has been said. False: try again later."""
        ...
