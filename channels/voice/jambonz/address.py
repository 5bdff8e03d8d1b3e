"""Who calls over jambonz, in our spelling: E.164 where it is a number, with or without its plus."""

import re

from channels.voice.jambonz.messages import CallStatus, Opened
from channels.voice.parties import Parties, storable

PROVIDER = "jambonz"
_NUMBER = re.compile(r"\+?([1-9][0-9]{6,14})")
_URI = re.compile(r"sips?:[^\s<>\"]{1,250}")
_WITHHELD = frozenset({"", "anonymous", "restricted", "private", "unavailable", "unknown", "withheld"})
"""Of a From header (RFC 3323 §4.1), and what carriers write there."""


def parties_of(call: Opened | CallStatus) -> Parties:
    """The parties of a call in either direction."""
    outbound = call.direction == "outbound"
    ours, theirs = (call.sender, call.recipient) if outbound else (call.recipient, call.sender)
    user = theirs.removeprefix("sip:").partition("@")[0].strip().lower()
    withheld = user in _WITHHELD
    address = f"anonymous:{call.call_sid}" if withheld else canonical(theirs)
    return Parties(
        provider=PROVIDER,
        sid=call.call_sid,
        theirs=address,
        ours=canonical(ours),
        # A number is what the carrier of a trunk says; a device of the account may claim any.
        proven=address.startswith("+") and (bool(call.trunk) or outbound),
        direction="outbound" if outbound else "inbound",
    )


def canonical(raw: str) -> str:
    """An address in our spelling."""
    raw = storable(raw.strip())
    number = _NUMBER.fullmatch(raw)
    if number is not None:
        return f"+{number[1]}"
    return raw if _URI.fullmatch(raw) else f"alpha:{raw}"
