"""The values of an agent's event as plain JSON that both databases keep."""

import json
import re

from gateway.domain.agent import AgentEvent, AgentFailed
from gateway.domain.message import JsonObject

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def plain_values(event: AgentEvent) -> tuple[JsonObject, int]:
    """The event's fields as plain JSON, and their size in bytes. Raises AgentFailed."""
    try:
        written = json.dumps(event.model_dump(exclude={"type"}), allow_nan=False, ensure_ascii=False)
        size = len(written.encode())
    except (ValueError, TypeError, RecursionError):
        raise AgentFailed(f"{event.type} holds a value that is not JSON") from None
    if _NUL.search(written):
        raise AgentFailed(f"{event.type} holds a NUL character")
    return json.loads(written), size
