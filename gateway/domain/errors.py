"""What can go wrong, as a caller sees it: a closed vocabulary of codes, each with its HTTP status.

Adapters of other protocols (SMTP, AMQP) map `GatewayError` by `retryable`, never by message text.
"""

from enum import StrEnum


class ErrorCode(StrEnum):
    """The `error` values of the HTTP API (contract/http-api.md)."""

    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    VALIDATION_ERROR = "validation_error"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    RATE_LIMITED = "rate_limited"
    INVALID_CURSOR = "invalid_cursor"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    IDEMPOTENCY_IN_PROGRESS = "idempotency_in_progress"
    UNAVAILABLE = "unavailable"
    INVALID_TRANSITION = "invalid_transition"
    CONVERSATION_CLOSED = "conversation_closed"
    CONVERSATION_NOT_CLOSED = "conversation_not_closed"
    TURN_IN_PROGRESS = "turn_in_progress"
    TURN_TIMEOUT = "turn_timeout"
    TURN_INTERRUPTED = "turn_interrupted"
    AGENT_FAILED = "agent_failed"
    NO_DEFAULT_AGENT = "no_default_agent"
    AGENT_NOT_FOUND = "agent_not_found"
    END_USER_NOT_FOUND = "end_user_not_found"
    NO_ADDRESS = "no_address"
    SUPPRESSED = "suppressed"
    USE_VOICE_CALLS = "use_voice_calls"
    NO_LIVE_CALL = "no_live_call"
    INVALID_IDENTIFIER = "invalid_identifier"
    CLAIMED_BY_OTHER = "claimed_by_other"
    NOT_WAITING_FOR_HUMAN = "not_waiting_for_human"
    TRANSFER_IN_PROGRESS = "transfer_in_progress"
    APPROVER_ROLE_REQUIRED = "approver_role_required"
    ALREADY_RESOLVED = "already_resolved"
    SESSION_MISMATCH = "session_mismatch"
    SIMULATION_READ_ONLY = "simulation_read_only"
    CONTACT_IN_USE = "contact_in_use"
    INVALID_MERGE = "invalid_merge"
    END_USER_ERASED = "end_user_erased"


HTTP_STATUS: dict[ErrorCode, int] = {
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.APPROVER_ROLE_REQUIRED: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.AGENT_NOT_FOUND: 404,
    ErrorCode.END_USER_NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.INVALID_CURSOR: 400,
    ErrorCode.PAYLOAD_TOO_LARGE: 413,
    ErrorCode.VALIDATION_ERROR: 422,
    ErrorCode.NO_DEFAULT_AGENT: 422,
    ErrorCode.NO_ADDRESS: 422,
    ErrorCode.USE_VOICE_CALLS: 422,
    ErrorCode.INVALID_IDENTIFIER: 422,
    ErrorCode.SESSION_MISMATCH: 422,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.AGENT_FAILED: 502,
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.TURN_TIMEOUT: 504,
}


class GatewayError(Exception):
    """A refusal with a code of the closed set and one sentence a person can act on."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """HTTP status; a refusal of the conversation's state is 409."""
        return HTTP_STATUS.get(self.code, 409)


class Unavailable(GatewayError):
    """Retryable: the database or the broker does not answer. 503 over HTTP, 451 over SMTP."""

    def __init__(self, message: str, *, outcome_unknown: bool = False) -> None:
        super().__init__(ErrorCode.UNAVAILABLE, message)
        self.outcome_unknown = outcome_unknown
        """True when a commit was sent and its answer was lost: it may have happened."""


class WrongSetting(Unavailable):
    """What we depend on answers, and refuses us: a setting is wrong. The message names it."""


class UnknownAddress(GatewayError):
    """No configured address of ours matches. 404 over HTTP, 550 over SMTP."""

    def __init__(self, channel: str) -> None:
        super().__init__(
            ErrorCode.NOT_FOUND, f"no {channel} address of this gateway matches; see gateway.toml"
        )


class FileMissing(Exception):
    """The attachment store has no such file."""


class Fenced(Exception):
    """The caller no longer owns the lease: another worker, a take-over or a close has moved the number on."""


class Braked(Exception):
    """A pause or a day's cap keeps this from going on: nothing of it was done, and it waits."""


class InvalidTransition(GatewayError):
    """A move that the status table does not list."""

    def __init__(self, before: str, after: str) -> None:
        super().__init__(
            ErrorCode.INVALID_TRANSITION, f"a conversation that is {before} cannot become {after}"
        )
