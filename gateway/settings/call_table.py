"""What gateway.toml may say about calls, for the channel `voice` or one number of it."""

from typing import Annotated

from pydantic import Field

from gateway.settings.refusals import Table
from gateway.settings.values import Number

Said = Annotated[str, Field(min_length=1, max_length=1600)]
"""What the gateway itself says to an end user."""


class CallTable(Table):
    """The keys that belong to calls only."""

    greeting_text: Said | None = None
    filler_text: Said | None = None
    filler_after_seconds: Annotated[float, Number, Field(ge=0.2, le=30)] | None = None
    reminder_text: Said | None = None
    reminder_after_seconds: Annotated[float, Number, Field(ge=2, le=300)] | None = None
    max_reminders: Annotated[int, Number, Field(ge=0, le=20)] | None = None
    goodbye_text: Said | None = None
    hold_text: Said | None = None
    reassurance_text: Said | None = None
    reassurance_every_seconds: Annotated[float, Number, Field(ge=5, le=600)] | None = None
    apology_text: Said | None = None


CALL_TEXTS = (
    "greeting_text",
    "filler_text",
    "reminder_text",
    "goodbye_text",
    "hold_text",
    "reassurance_text",
    "apology_text",
)
CALL_PACE = {
    "filler_after_seconds": "filler_after",
    "reminder_after_seconds": "reminder_after",
    "max_reminders": "max_reminders",
    "reassurance_every_seconds": "reassure_every",
}
"""What belongs to calls only, and what it is called in `CallPace`."""


def not_called(table: CallTable) -> None:
    """Raise ValueError for what has a meaning only where people speak."""
    for name in (*CALL_TEXTS, *CALL_PACE):
        if getattr(table, name) is not None:
            raise ValueError(f"{name} belongs to calls (voice)")
