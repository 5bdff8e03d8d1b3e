"""What went wrong with a model, as a turn's failure: nothing of what was asked or answered is in it."""

from pydantic_ai.exceptions import (
    AgentRunError,
    FallbackExceptionGroup,
    ModelHTTPError,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
    UserError,
)

from gateway.domain.agent import AgentFailed


def failure_of(error: Exception) -> AgentFailed:
    """The failure with the kind of what went wrong, and its cause for the log."""
    failed = AgentFailed(_reason(error))
    failed.__cause__ = error
    return failed


def _reason(error: Exception) -> str:
    match error:
        case FallbackExceptionGroup():
            return f"none of the models answered ({_reason(error.exceptions[-1])})"
        case ModelHTTPError():
            return f"the model's provider answered with status {error.status_code}"
        case UsageLimitExceeded():
            return "the turn went over the limits of the agent"
        case UnexpectedModelBehavior():
            return f"the model's answer could not be used ({type(error).__name__})"
        case UserError() | AgentRunError():
            return f"the model could not be asked ({type(error).__name__})"
        case _:
            return f"the model's answer broke off ({type(error).__name__})"
