"""Who writes or calls: Twilio's spelling of an address and ours.

E.164 numbers are taken as they come, also impossible ones: the carrier vouches for them. What is not a number
(short codes, sender names, `whatsapp:` and other schemes) is kept as opaque text, never read as a number.
"""

import re

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SHORT_CODE = re.compile(r"[0-9]{3,8}")
_SCHEME = re.compile(r"[a-z]{2,16}:.+")
_SHORT_CODE_SCHEME = "shortcode:"
_NAME_SCHEME = "alpha:"

WITHHELD = frozenset(
    {
        "+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253", "+86753",
        "anonymous", "restricted", "blocked", "unknown", "unavailable", "private",
    }
)  # fmt: skip
"""What stands for a number that is not shown: the words, and Twilio's numbers, which spell them on a keypad.

Source: https://help.twilio.com/articles/223179988
"""


def is_withheld(raw: str) -> bool:
    """Whether this says only that they do not want to be known."""
    return raw.lower() in WITHHELD


def canonical_sender(raw: str) -> str:
    """Our form of their address: E.164, `shortcode:<digits>`, `<scheme>:…` as it is, `alpha:<name>`."""
    if _E164.fullmatch(raw) or _SCHEME.fullmatch(raw):
        return raw
    if _SHORT_CODE.fullmatch(raw):
        return _SHORT_CODE_SCHEME + raw
    return _NAME_SCHEME + raw


def is_one_way(address: str) -> bool:
    """Whether nothing can be sent to this canonical address: a sender that shows a name."""
    return address.startswith(_NAME_SCHEME)


def provider_address(address: str) -> str:
    """The provider's form of an address of ours or theirs."""
    return address.removeprefix(_SHORT_CODE_SCHEME).removeprefix(_NAME_SCHEME)
