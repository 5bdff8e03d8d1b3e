"""The mailboxes of an address header (RFC 5322 §3.4), read by one bounded pass.

What decides who is speaking must not be lenient: a header that does not plainly hold one mailbox holds none.
Encoded words are decoded in names only, never before the addresses are told apart.
"""

import re

from gateway.domain.errors import GatewayError
from gateway.domain.identity import canonical_mailbox

MAX_MAILBOXES = 500
"""Read from one header."""

_PIECE = re.compile(r'"(?:[^"\\]|\\.)*+"|[(),:;<>\\"]|[^(),:;<>\\"]++', re.DOTALL)
_PLAIN = re.compile(r'[^\s@<>(),:;\\"\[\]]++@[^\s@<>(),:;\\"\[\]]++')


def canonical(address: str) -> str | None:
    """The canonical mailbox of a plain address, or None where it is not one."""
    try:
        return canonical_mailbox(address) if _PLAIN.fullmatch(address) else None
    except GatewayError:
        return None


def read_mailboxes(header: str) -> list[str | None]:
    """One entry for each address of the header: canonical, or None where it is not one. Groups are opened."""
    found: list[str | None] = []
    element: list[str] = []
    angled = False
    for piece in _without_comments(header):
        if angled or piece not in (",", ";", ":"):
            angled = (angled or piece == "<") and piece != ">"
            element.append(piece)
        elif piece == ":" and "<" not in element:
            element = []  # the name of a group
        elif piece == ":":
            element.append(piece)
        else:
            _add(found, element)
            element = []
        if len(found) >= MAX_MAILBOXES:
            return found
    _add(found, element)
    return found


def _add(found: list[str | None], element: list[str]) -> None:
    if "".join(element).strip():
        found.append(_mailbox(element))


def _mailbox(element: list[str]) -> str | None:
    """The mailbox of `address` or `name <address>`."""
    if '"' in element or "\\" in element:
        return None
    if "<" not in element:
        return canonical("".join(element).strip())
    opening = element.index("<")
    closed = element[-2:-1] == [">"] and not element[-1].strip()
    inside = element[opening + 1 : -2 if closed else -1]
    if not closed and element[-1] != ">":
        return None
    return canonical("".join(inside).strip())


def _without_comments(header: str) -> list[str]:
    depth = 0
    pieces: list[str] = []
    for piece in _PIECE.findall(header):
        if piece == "(":
            depth += 1
        elif piece == ")":
            depth = max(0, depth - 1)
        elif not depth:
            pieces.append(piece)
    return pieces
