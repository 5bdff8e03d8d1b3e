"""Identifiers: time-ordered UUIDs for rows, name-based ones for what configuration declares.

Inside the gateway an id is always the 36-character lower-case text of a UUID.
"""

import os
import time
import uuid

_NAMESPACE = uuid.UUID("6f0a3c0e-6a6e-5d5f-8e0b-5b1f4a1c7d11")


def new_id() -> str:
    """A UUID version 7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def named_id(*names: str) -> str:
    """The UUID version 5 of a path of names, such as an organisation, or an agent of one."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(names)))


def parse_id(text: str) -> str | None:
    """The canonical form of a UUID given in any usual spelling, or None if it is not one."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None
