"""The seams that the bytes of files cross: fetched from a provider, kept in a store, read by a sender."""

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.message import InboundAttachment

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ORGANISATION = re.compile(r"[0-9a-f-]{36}")


@dataclass(frozen=True, slots=True)
class FileKey:
    """What a file in the attachment store is called: its content, within an organisation."""

    organization_id: str
    sha256: str
    """Lower-case hex."""

    def __post_init__(self) -> None:
        """Raises ValueError: such names become paths."""
        if not _SHA256.fullmatch(self.sha256) or not _ORGANISATION.fullmatch(self.organization_id):
            raise ValueError("a file is named by an organisation's id and 64 hex digits")


class AttachmentStore(Protocol):
    """Where the bytes of attachments are: a folder, or a bucket. Every method may raise `Unavailable`."""

    async def check(self) -> None:
        """Keep a file for a moment. Raises WrongSetting where it is refused, Unavailable."""
        ...

    async def put(self, key: FileKey, content: bytes) -> None:
        """Keep a file; durable when it returns. One that is there already stays."""
        ...

    def read(self, key: FileKey) -> AsyncGenerator[bytes, None]:
        """A file in pieces; raises FileMissing before the first of them where it is not there."""
        ...

    async def remove(self, key: FileKey) -> None:
        """Delete a file; one that is not there is as good."""
        ...


class KeepAttachment(Protocol):
    """Keeps a file that came with a message, before that is accepted; what ingress adapters are handed."""

    async def __call__(
        self, content: bytes, *, media_type: str, name: str | None, whole: bool = False
    ) -> InboundAttachment:
        """The attachment to hand over with the message; its name is made harmless.

        `whole`: it is the message itself, which its way in has bounded, and is kept whatever its size.
        Raises GatewayError `payload_too_large`, or Unavailable (retryable). What no message is accepted with
        is forgotten after a day.
        """
        ...


class ReadAttachment(Protocol):
    """Reads a file that a reply carries; what senders are handed."""

    async def __call__(self, organization_id: str, attachment_id: str) -> bytes:
        """The whole file. Raises FileMissing where it is there no more, Unavailable (retryable)."""
        ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that a provider has handed out."""

    content: bytes
    media_type: str
    name: str | None


@dataclass(frozen=True, slots=True)
class NotFetched:
    """Why it did not, in one of a few fixed words; `again`: whether it may yet."""

    reason: str
    again: bool


class FetchMedia(Protocol):
    """Fetches a file that a provider keeps of a message."""

    async def __call__(self, url: str, media_type: str, max_bytes: int) -> Fetched | NotFetched:
        """`media_type`: what the provider said of it. Never raises for the provider's faults."""
        ...
