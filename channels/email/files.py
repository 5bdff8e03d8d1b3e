"""The files of a mail: which of its parts are, and how each is described."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from channels.email.charset import one_line
from channels.email.mime import Entity, read_mail
from gateway.domain.message import JsonObject

MAX_NAME = 120
"""Characters of an attachment's name."""
_FORBIDDEN_IN_NAMES = re.compile(r'[<>:"|?*\\/]')


@dataclass(frozen=True, slots=True, kw_only=True)
class MailAttachment:
    """A file in a mail, described; `sha256` names its content."""

    name: str | None
    """Safe as a file name: no folders, no control characters, no leading dot."""
    media_type: str
    size: int
    sha256: str
    inline: bool
    """It belongs into the text (an image with a Content-ID)."""

    def described(self) -> JsonObject:
        """The same as JSON."""
        return {
            "name": self.name,
            "media_type": self.media_type,
            "size": self.size,
            "sha256": self.sha256,
            "inline": self.inline,
        }


def read_files(raw: bytes) -> list[tuple[MailAttachment, bytes]]:
    """The files of a mail with their content, as `parse_mail` lists them. Raises nothing."""
    try:
        entities = [entity for entity in _leaves(read_mail(raw)) if _is_file(entity)]
        return [(_described(entity), entity.content()) for entity in entities]
    except Exception:  # what cannot be taken apart has its raw mail
        return []


def files_of(mail: Entity) -> Iterator[MailAttachment]:
    """The files of a mail, described."""
    return (_described(entity) for entity in _leaves(mail) if _is_file(entity))


def is_attachment(entity: Entity) -> bool:
    """Whether a part is no text. A multipart without parts is read as the text it may be."""
    readable = entity.media_type in ("text/plain", "text/html", "text/enriched")
    return entity.is_file or not (readable or entity.media_type.startswith("multipart/"))


def safe_name(name: str | None) -> str | None:
    """A file name without folders, reserved and control characters; None where nothing is left."""
    if name is None:
        return None
    last = one_line(name.replace("\\", "/").rpartition("/")[2])
    kept = _FORBIDDEN_IN_NAMES.sub("_", last).strip(". ")
    stem, dot, suffix = kept.rpartition(".")
    if len(kept) > MAX_NAME and dot and len(suffix) <= 10:
        return f"{stem[: MAX_NAME - 1 - len(suffix)]}.{suffix}"
    return kept[:MAX_NAME] or None


def _is_file(entity: Entity) -> bool:
    return is_attachment(entity) and entity.media_type != "text/x-amp-html"


def _described(entity: Entity) -> MailAttachment:
    content = entity.content()
    return MailAttachment(
        name=safe_name(entity.name),
        media_type=entity.media_type,
        size=len(content),
        sha256=sha256(content).hexdigest(),
        inline=entity.disposition.main != "attachment" and bool(entity.headers.get("content-id")),
    )


def _leaves(entity: Entity) -> Iterator[Entity]:
    if not entity.children:
        yield entity
    for child in entity.children:
        yield from _leaves(child)
