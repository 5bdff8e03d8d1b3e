"""What jambonz's words for calls that we begin mean.

Source: https://docs.jambonz.org/reference/rest-call-control/calls/get-call, and amd-utils.js.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.domain.call_rules import OnMachine
from gateway.domain.outgoing_call import AnsweredBy, CallState

CALL_STATES: Final[Mapping[str, CallState]] = MappingProxyType(
    {
        "queued": CallState.INITIATED,
        "trying": CallState.INITIATED,
        "ringing": CallState.RINGING,
        "alerting": CallState.RINGING,
        "early-media": CallState.RINGING,
        "in-progress": CallState.ANSWERED,
        "completed": CallState.COMPLETED,
        "busy": CallState.BUSY,
        "no-answer": CallState.NO_ANSWER,
        "failed": CallState.FAILED,
    }
)
"""call_status → how far the call has come."""

ANSWERED_BY: Final[Mapping[str, AnsweredBy]] = MappingProxyType(
    {
        "amd_human_detected": AnsweredBy.HUMAN,
        "amd_machine_detected": AnsweredBy.MACHINE,
        "amd_machine_stopped_speaking": AnsweredBy.MACHINE,
        "amd_no_speech_detected": AnsweredBy.UNKNOWN,
        "amd_decision_timeout": AnsweredBy.UNKNOWN,
    }
)
"""The type of an event of machine detection → who it was; others say nothing of that."""
SPEAKS = "amd_machine_detected"
"""A machine that has not finished: nothing can be left on it yet."""


def call_state(call_status: str) -> CallState:
    """How far a call has come; UNKNOWN for a word not in the table."""
    return CALL_STATES.get(call_status, CallState.UNKNOWN)


def answered_by(event: str, on_machine: OnMachine | None) -> AnsweredBy | None:
    """Who has answered; None where this event does not say so, or too early for what is to be done."""
    if event == SPEAKS and on_machine is OnMachine.LEAVE_MESSAGE:
        return None
    return ANSWERED_BY.get(event)
