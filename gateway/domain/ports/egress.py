"""The seam to providers on the way out: what sends a reply in parts, and what takes their receipts."""

from collections.abc import Sequence
from typing import Protocol

from gateway.domain.delivery import Delivery, OutcomeUnknown, Part, PartText, Receipt, SendOutcome, Taken


class Sender(Protocol):
    """The way out of one channel through one provider."""

    @property
    def provider(self) -> str:
        """The provider's name, as stored with a part."""
        ...

    def split(self, delivery: Delivery) -> Sequence[PartText]:
        """Cut a reply into parts; called once per delivery, the result is stored. Pure."""
        ...

    async def send(self, delivery: Delivery, part: Part, timeout: float) -> SendOutcome:
        """Hand one part to the provider within `timeout` seconds. Never raises for the provider's faults."""
        ...

    async def find(self, delivery: Delivery, part: Part) -> Taken | OutcomeUnknown | None:
        """Whether the provider has a part whose outcome was not learnt.

        None: it has not. OutcomeUnknown: it could not be asked now. A provider that cannot
        tell answers None, and the part is sent again (counted as possibly doubled).
        """
        ...


class ApplyReceipt(Protocol):
    """Applies what a provider says about a part it took."""

    async def __call__(self, receipt: Receipt) -> None:
        """Idempotent and order-safe; an unknown part is kept as such, not refused."""
        ...
