"""Which thread a mail belongs to: signed reply addresses, message ids of ours, what a reply says of itself.

A conversation is named in two places that come back with an answer, each with a MAC, so that nobody can write
into a conversation by guessing: the address the answer is sent to, and the Message-ID it refers to. Both
survive lower-casing (base32). RFC 5322 §3.6.4; reference/email.md, section 4.
"""

import hmac
import re
from base64 import b32decode, b32encode
from binascii import a2b_base64
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from gateway.domain.clock import SECOND
from gateway.domain.subject import REPLY_MARK

REPLY_ADDRESS_LIFE = 365 * 86_400 * SECOND
"""µs for which a reply address names its conversation; after that, mail to it is ordinary mail."""
MAX_IDS = 50
"""Message ids read from one mail."""
MAX_REFERENCES = 20
"""Message ids written into References."""
MAX_ID = 512
"""Characters of a message id; a longer one is not one."""
MADE_DOMAIN = "missing-message-id.invalid"
"""Right-hand side of the ids we make for mail that has none; such an id is never sent."""

_MAC_BYTES = 10
_INDEX_BYTES = 22
_ADDRESS_TAG = b"reply\0"
_ID_TAG = b"message-id\0"
_RETURN_TAG = b"return-path\0"
_TOKEN_LENGTH = 48
_LOCAL_MAX = 64
RETURN_MAILBOX = "bounces"
"""Local part of the addresses that our mail comes back to."""
_RETURN_TOKEN_LENGTH = 42
_OWN_ID = re.compile(r"<c\.([a-z2-7]{26})\.([a-z2-7]{26})\.([a-z2-7]{16})@[^<>@\s]+>", re.IGNORECASE)
_ANGLED_ID = re.compile(r"<([^<>]*+)>")


@dataclass(frozen=True, slots=True)
class ThreadMarks:
    """Makes and proves the marks of one mail domain.

    `secrets`: the first signs; all prove, so that one can be rotated. `domain` stands in our Message-IDs.
    """

    domain: str
    secrets: tuple[bytes, ...]

    def reply_address(self, conversation_id: str, ours: str, theirs: str, made_at: int) -> str:
        """Where an answer of `theirs` finds its conversation: the address `ours` with a token as subaddress.

        The token counts for mail from `theirs` only, so that it proves the address it was mailed to and no
        other. It is `ours` alone where the local part would exceed 64 characters (RFC 5321 §4.5.3.1.1).
        """
        local, _, domain = ours.rpartition("@")
        body = UUID(conversation_id).bytes + ((made_at + REPLY_ADDRESS_LIFE) // SECOND).to_bytes(4, "big")
        token = _base32(body + _mac(self.secrets[0], _signed(body, theirs)))
        if len(local.encode()) + 1 + len(token) > _LOCAL_MAX:
            return ours
        return f"{local}+{token}@{domain}"

    def read_reply_address(self, mailbox: str, sender: str, now: int) -> str | None:
        """The conversation an address of ours names for this sender.

        None when it names none, is forged, has expired, or was mailed to somebody else.
        """
        token = mailbox.rpartition("@")[0].rpartition("+")[2]
        content = _unbase32(token) if len(token) == _TOKEN_LENGTH else None
        if content is None:
            return None
        body, mac = content[:-_MAC_BYTES], content[-_MAC_BYTES:]
        if not self._proven(_signed(body, sender), mac) or int.from_bytes(body[16:], "big") * SECOND < now:
            return None
        return str(UUID(bytes=body[:16]))

    def message_id(self, conversation_id: str, message_id: str) -> str:
        """The Message-ID of a message of ours: always the same one, so that a mail sent twice is one mail."""
        body = UUID(conversation_id).bytes + UUID(message_id).bytes
        mac = _base32(_mac(self.secrets[0], _ID_TAG + body))
        return f"<c.{_base32(body[:16])}.{_base32(body[16:])}.{mac}@{self.domain}>"

    def return_path(self, delivery_id: str) -> str:
        """Where a mail comes back to: an address of its own, so that what comes there is about it (VERP)."""
        body = UUID(delivery_id).bytes
        return f"{RETURN_MAILBOX}+{_base32(body + _mac(self.secrets[0], _RETURN_TAG + body))}@{self.domain}"

    def delivery_of_return_path(self, mailbox: str) -> str | None:
        """The delivery whose return path this is; None for any other address, and for forged ones."""
        local, _, domain = mailbox.lower().rpartition("@")
        name, _, token = local.partition("+")
        if name != RETURN_MAILBOX or domain != self.domain or len(token) != _RETURN_TOKEN_LENGTH:
            return None
        content = _unbase32(token)
        if content is None or not self._proven(_RETURN_TAG + content[:16], content[16:]):
            return None
        return str(UUID(bytes=content[:16]))

    def conversation_of_message_id(self, message_id: str) -> str | None:
        """The conversation that a Message-ID of ours belongs to; None for any other, and for forged ones."""
        read = self._read_message_id(message_id)
        return read[0] if read else None

    def message_of_message_id(self, message_id: str) -> str | None:
        """The message that has this Message-ID of ours."""
        read = self._read_message_id(message_id)
        return read[1] if read else None

    def _read_message_id(self, message_id: str) -> tuple[str, str] | None:
        match = _OWN_ID.fullmatch(message_id)
        if not match:
            return None
        conversation, message, mac = (_unbase32(piece) for piece in match.groups())
        if conversation is None or message is None or mac is None:
            return None
        if not self._proven(_ID_TAG + conversation + message, mac):
            return None
        return str(UUID(bytes=conversation)), str(UUID(bytes=message))

    def _proven(self, body: bytes, mac: bytes) -> bool:
        return any(hmac.compare_digest(_mac(secret, body), mac) for secret in self.secrets)


def read_ids(header: str) -> tuple[str, ...]:
    """The message ids of a header, oldest first, as `<id>` without inner white space; of many the last 50.

    Their case is kept, because clients compare it; ids of ours are lower-case, whatever a relay made of them.
    """
    found = ["".join(match[1].split()) for match in _ANGLED_ID.finditer(header)]
    if not found:
        found = [word for word in re.split(r"[\s,]+", header) if "@" in word and not re.search("[<>]", word)]
    ids = (f"<{id_}>" for id_ in found if 0 < len(id_) <= MAX_ID)
    unique = dict.fromkeys(id_.lower() if _OWN_ID.fullmatch(id_) else id_ for id_ in ids)
    return tuple(unique)[-MAX_IDS:]


def thread_mark(header: str) -> str | None:
    """What all mails of a thread have in common in Thread-Index (MS-OXOMSG §2.2.1.3): its first 22 bytes."""
    try:
        content = a2b_base64("".join(header[:MAX_ID].split()))
    except ValueError:
        return None
    return f"thread-index:{content[:_INDEX_BYTES].hex()}" if len(content) >= _INDEX_BYTES else None


def made_id(raw: bytes) -> str:
    """An id for a mail without Message-ID: the same for the same bytes."""
    return f"<{sha256(raw).hexdigest()}@{MADE_DOMAIN}>"


def references(before: Sequence[str], answered: str | None) -> tuple[str, ...]:
    """References of a reply: those of the mail it answers and that mail itself; the first and the last 19."""
    ids = [*before, answered] if answered else [*before]
    sendable = list(dict.fromkeys(id_ for id_ in ids if _is_sendable(id_)))
    if answered in sendable:
        sendable.remove(answered)
        sendable.append(answered)
    if len(sendable) > MAX_REFERENCES:
        sendable = [sendable[0], *sendable[1 - MAX_REFERENCES :]]
    while sum(len(id_) + 3 for id_ in sendable) > 8_000:
        del sendable[1]
    return tuple(sendable)


def reply_subject(subject: str) -> str:
    """The subject of a reply: `Re: ` and the original as it was; never a second mark of a reply."""
    return subject if REPLY_MARK.match(subject) else f"Re: {subject}".rstrip()


def _is_sendable(id_: str) -> bool:
    return (
        len(id_) <= MAX_ID + 2
        and _ANGLED_ID.fullmatch(id_) is not None
        and id_.isascii()
        and id_.isprintable()
        and " " not in id_
        and not id_.endswith(f"@{MADE_DOMAIN}>")
    )


def _signed(body: bytes, theirs: str) -> bytes:
    """What the MAC of a reply address covers: conversation and expiry, and whom it was mailed to."""
    return _ADDRESS_TAG + body + theirs.lower().encode("utf-8", "replace")


def _mac(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, body, "sha256")[:_MAC_BYTES]


def _base32(content: bytes) -> str:
    return b32encode(content).decode("ascii").rstrip("=").lower()


def _unbase32(text: str) -> bytes | None:
    try:
        return b32decode(text.upper() + "=" * (-len(text) % 8))
    except ValueError:
        return None
