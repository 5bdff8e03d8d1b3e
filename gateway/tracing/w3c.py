"""The `traceparent` header: read, written, made up (W3C Trace Context, https://www.w3.org/TR/trace-context/)."""

import os
import re

TRACEPARENT = "traceparent"
"""The header's name, in HTTP and on the queues."""
MAX_LENGTH = 256
"""Characters of a header; a later version of the standard may append to the 55 of this one."""
SAMPLED, RANDOM = 0x01, 0x02
"""The flags of the standard's levels 1 and 2; the rest is reserved and must not be passed on."""

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_AS_WE_WRITE_IT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[0-3]")
_VERSION = "00"
_UNUSABLE_VERSION = "ff"
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


def parse_traceparent(header: object) -> str | None:
    """The header in the form of version 00, or None where it is not valid and a new trace begins (§4.3).

    Of a later version what this one knows is read (§3.2.4). Queues carry any type of value: only text counts.
    """
    if not isinstance(header, str) or len(header) > MAX_LENGTH:
        return None
    if _AS_WE_WRITE_IT.fullmatch(header):
        return header  # nearly all are; it takes a quarter of the time
    match = _FORM.fullmatch(header)
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == _UNUSABLE_VERSION or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    if version == _VERSION and more is not None:
        return None
    return format_traceparent(trace_id, span_id, int(flags, 16))


def format_traceparent(trace_id: str, span_id: str, flags: int) -> str:
    """The header of version 00 for ids of 32 and 16 lower-case hexadecimal characters, neither all zero."""
    return f"{_VERSION}-{trace_id}-{span_id}-{flags & (SAMPLED | RANDOM):02x}"


def new_traceparent() -> str:
    """A trace that begins here.

    It says "sampled" although nothing of it may have been recorded yet: those who come after would otherwise
    follow our lead and record nothing either.
    """
    ids = os.urandom(24).hex()
    return f"{_VERSION}-{ids[:32]}-{ids[32:]}-01"
