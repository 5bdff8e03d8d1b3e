"""What Twilio's words for calls mean: data, because Twilio changes them now and then.

Source: https://www.twilio.com/docs/voice/api/call-resource#call-status-values and
https://www.twilio.com/docs/voice/answering-machine-detection#answeredby-values
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.domain.outgoing_call import AnsweredBy, CallState

CALL_STATES: Final[Mapping[str, CallState]] = MappingProxyType(
    {
        "queued": CallState.INITIATED,
        "initiated": CallState.INITIATED,
        "ringing": CallState.RINGING,
        "in-progress": CallState.ANSWERED,
        "completed": CallState.COMPLETED,
        "busy": CallState.BUSY,
        "no-answer": CallState.NO_ANSWER,
        "failed": CallState.FAILED,
        "canceled": CallState.CANCELED,
    }
)
"""Twilio's CallStatus → how far the call has come."""

ANSWERED_BY: Final[Mapping[str, AnsweredBy]] = MappingProxyType(
    {
        "human": AnsweredBy.HUMAN,
        "machine_start": AnsweredBy.MACHINE,
        "machine_end_beep": AnsweredBy.MACHINE,
        "machine_end_silence": AnsweredBy.MACHINE,
        "machine_end_other": AnsweredBy.MACHINE,
        "fax": AnsweredBy.FAX,
        "unknown": AnsweredBy.UNKNOWN,
    }
)
"""Twilio's AnsweredBy → who it was."""


def call_state(call_status: str) -> CallState:
    """How far a call has come; UNKNOWN for a word not in the table."""
    return CALL_STATES.get(call_status, CallState.UNKNOWN)


def answered_by(word: str) -> AnsweredBy:
    """Who has answered; UNKNOWN also for a word not in the table."""
    return ANSWERED_BY.get(word, AnsweredBy.UNKNOWN)
