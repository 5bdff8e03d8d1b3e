"""What a call can be passed on to: a number or a SIP URI."""

import re
from enum import StrEnum

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_SIP = re.compile(r"sips?:[^\s@<>\"]{1,128}@[^\s@<>\"]{1,200}")


class Destination(StrEnum):
    """What can be dialled."""

    NUMBER = "number"
    SIP = "sip"


def destination_kind(destination: str) -> Destination | None:
    """How this is dialled, or None where it is neither a number in E.164 nor a SIP URI."""
    if _NUMBER.fullmatch(destination):
        return Destination.NUMBER
    return Destination.SIP if _SIP.fullmatch(destination) else None
