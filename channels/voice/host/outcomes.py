"""How a transfer ended, in the contract's words."""

from dataclasses import dataclass
from typing import Any

from gateway.domain.outcome import TransferReason, TransferState


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a transfer."""

    state: TransferState
    reason: TransferReason | None = None
    sip_code: int | None = None
    method: str | None = None
    attempt: int | None = None
    destination_index: int | None = None

    def fields(self) -> dict[str, Any]:
        """As `intent.outcome` has them."""
        return {
            "state": self.state.value,
            "reason": None if self.reason is None else self.reason.value,
            "sip_code": self.sip_code,
            "method_used": self.method,
            "attempt": self.attempt,
            "destination_index": self.destination_index,
        }


_REFUSALS = {
    408: TransferReason.NO_ANSWER,
    480: TransferReason.NO_ANSWER,
    487: TransferReason.NO_ANSWER,
    486: TransferReason.BUSY,
    600: TransferReason.BUSY,
    603: TransferReason.DECLINED,
    404: TransferReason.INVALID_DESTINATION,
    410: TransferReason.INVALID_DESTINATION,
    484: TransferReason.INVALID_DESTINATION,
    604: TransferReason.INVALID_DESTINATION,
}


def refusal(status: int) -> TransferReason:
    """Why somebody who was called did not answer (RFC 3261 §21)."""
    return _REFUSALS.get(status, TransferReason.DECLINED if status >= 600 else TransferReason.BRIDGE_ERROR)
