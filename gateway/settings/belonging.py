"""Which keys mean something where; one that would do nothing at its channel or number is refused.

Not those that the contract has for every channel and every address (`quiet_hours`, `max_parts`, …).
"""

from collections.abc import Iterable

from gateway.settings.call_table import CALL_PACE, CALL_RULES, CALL_SPEECH, CALL_TEXTS
from gateway.settings.refusals import Table

NOT_IN_CALLS = (
    "failure_text",
    "handoff_timeout",
    "handoff_timeout_action",
    "handoff_timeout_text",
    "segments_per_second",
    "cancel_unsent",
    "on_unknown",
    "on_unknown_first",
    "resend_after",
)
"""In a call nothing is said outside of a turn."""
ONLY_OF_CALLS = (*CALL_TEXTS, *CALL_SPEECH, *CALL_PACE, *CALL_RULES)
ONLY_OF_MAIL = ("domain_messages_per_hour", "from_name")
ONLY_OF_SMS = (
    "segment_price",
    "validity",
    "messages_per_hour",
    "answers_per_hour",
    "provider_handles_optout",
    "stop_text",
    "start_text",
    "help_text",
)
NOT_AT_HOSTS = (
    "hold_music",
    "record_calls",
    "ring_seconds",
    "on_machine",
    "machine_text",
    "confirm_text",
    "caller_left_text",
    "not_joined_text",
)
"""Of calls that the gateway begins, records, plays music to or calls persons for."""


def not_called(table: Table) -> None:
    """Raise ValueError for what has a meaning only where people speak."""
    _refuse(table, ONLY_OF_CALLS, "calls (voice)")


def not_texted(table: Table) -> None:
    """The same for text messages."""
    _refuse(table, ONLY_OF_SMS, "text messages (sms)")


def not_mailed(table: Table) -> None:
    """The same for mail."""
    _refuse(table, ONLY_OF_MAIL, "mail (email)")


def not_written(table: Table) -> None:
    """The same for all channels that are written on."""
    _refuse(table, NOT_IN_CALLS, "channels that are written on, not to calls")


def spoken_by_its_host(table: Table) -> None:
    """The same for numbers whose host has a language and a voice of its own: jambonz, hosts on the queues."""
    _refuse(table, CALL_SPEECH, "calls over Twilio (voice_mode relay or webhook)")


def done_by_its_host(table: Table) -> None:
    """The same for numbers of hosts on the queues: music, recordings, calls to anybody are the host's."""
    spoken_by_its_host(table)
    _refuse(
        table,
        NOT_AT_HOSTS,
        "calls that the gateway carries itself (voice_mode relay, webhook or jambonz); remove it here",
    )


def _refuse(table: Table, names: Iterable[str], where: str) -> None:
    for name in names:
        if getattr(table, name) is not None:
            raise ValueError(f"{name} belongs to {where}")
