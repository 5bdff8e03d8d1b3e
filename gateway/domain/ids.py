"""Identifiers: time-ordered UUIDs for rows, name-based ones for what configuration declares.

Inside the gateway an id is always the 36-character lower-case text of a UUID.
"""

import os
import time
import uuid

_NAMESPACE = uuid.UUID("6f0a3c0e-6a6e-5d5f-8e0b-5b1f4a1c7d11")

_last = 0
"""Milliseconds and random part of the newest id, 122 bits, without version and variant."""


def new_id() -> str:
    """A UUID version 7 (RFC 9562 §5.7), greater than every other this process has made.

    48 bits of Unix milliseconds, then 74 bits that are random, or within the same millisecond the
    last ones plus a random step (§6.2, method 2), so that rows written one after the other sort as
    they were written, also when the clock is set back. The top bit of the random part starts at
    zero: 2**41 steps fit before it could run over.
    """
    global _last
    now = (time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF) << 74
    if now >> 74 > _last >> 74:
        _last = now | int.from_bytes(os.urandom(10)) >> 7
    else:
        _last += 1 + int.from_bytes(os.urandom(4))
    value = _last >> 74 << 80 | 0x7 << 76 | (_last >> 62 & 0xFFF) << 64 | 0x2 << 62 | _last & (1 << 62) - 1
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
