"""How a voice host says that an intent goes and ends (contract/queues.md, "Voice hosts")."""

from enum import StrEnum


class TransferState(StrEnum):
    """How a transfer ended; exactly one of these is reported of each."""

    TRANSFERRED = "transferred"
    TRANSFER_PRESUMED = "transfer_presumed"
    """A REFER was accepted, and the caller left before anybody said what became of it."""
    RETURNED = "returned"
    CALLER_ABANDONED = "caller_abandoned"
    FAILED = "failed"
    CANCELED = "canceled"
    REJECTED_BUSY = "rejected_busy"
    """Another transfer of this call is under way."""
    EXPIRED = "expired"
    """It came after its `not_after`."""
    HOST_LOST = "host_lost"

    @property
    def proven(self) -> bool:
        """Whether the caller is with the person now."""
        return self in (TransferState.TRANSFERRED, TransferState.TRANSFER_PRESUMED)


class TransferReason(StrEnum):
    """Why a transfer did not succeed."""

    NO_ANSWER = "no_answer"
    BUSY = "busy"
    DECLINED = "declined"
    VOICEMAIL = "voicemail"
    SUPERVISOR_SILENT = "supervisor_silent"
    BRIEFING_TIMEOUT = "briefing_timeout"
    CONFIRM_TIMEOUT = "confirm_timeout"
    HOLD_TIMEOUT = "hold_timeout"
    BRIDGE_ERROR = "bridge_error"
    REFER_REJECTED = "refer_rejected"
    REFER_TARGET_FAILED = "refer_target_failed"
    UNSUPPORTED = "unsupported"
    INVALID_DESTINATION = "invalid_destination"


def transfer_state(state: str | None) -> TransferState:
    """A transfer's end as a host reports it; what the contract does not know is a failure."""
    return TransferState(state) if state in frozenset(TransferState) else TransferState.FAILED


def transfer_sentence(state: str, reason: str | None) -> str:
    """A transfer's end as the transcript has it."""
    if transfer_state(state).proven:
        return "Call transferred."
    return f"Call transfer failed: {reason or state}."
