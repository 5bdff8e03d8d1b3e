"""What a ConversationRelay session leaves to the action of its `<Connect>`."""

import re
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

HANG_UP = "hang_up"
TRANSFER = "transfer"
HELD = "held"
"""What `handoffData` may ask of the action: `do`."""


@dataclass(frozen=True, slots=True)
class Handoff:
    """What a session left."""

    do: str = ""
    """HANG_UP, TRANSFER, HELD, or "" where it broke off."""
    n: int = 0
    session: str = ""


_HANDOFF: TypeAdapter[Handoff] = TypeAdapter(Handoff)
_SESSION = re.compile(r"[A-Za-z0-9]{1,64}")


def read_handoff(text: str) -> Handoff:
    """The `HandoffData` of an action; what is none of ours counts as none."""
    try:
        left = _HANDOFF.validate_json(text)
    except ValidationError:
        return Handoff()
    return left if left.do in (HANG_UP, TRANSFER, HELD) and _SESSION.fullmatch(left.session) else Handoff()
