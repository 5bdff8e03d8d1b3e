"""Attachments: where their bytes are, and names and media types that are harmless wherever they are shown."""

import re
import unicodedata
from enum import StrEnum

MAX_NAME = 120
"""Characters of a file's name; a longer one loses its middle, not its ending."""
_MAX_ENDING = 20
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,127}")
_UNSAFE = re.compile(r'[<>:"/\\|?*]')
UNKNOWN_TYPE = "application/octet-stream"


class AttachmentState(StrEnum):
    """Where the bytes of an attachment are."""

    PENDING = "pending"
    """Still at the provider."""
    KEPT = "kept"
    FAILED = "failed"
    """The provider did not hand them out, or they are not taken."""


def safe_name(raw: str | None) -> str | None:
    """A file's name without folders, control and direction characters; None where nothing is left.

    What stands before the last slash of either kind is a folder of the sender's. Names of dots only, leading
    dots, and trailing dots and blanks would mean something to a file system.
    """
    if raw is None:
        return None
    last = unicodedata.normalize("NFC", raw[-4096:]).replace("\\", "/").rpartition("/")[2]
    shown = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in last)
    name = " ".join(_UNSAFE.sub("_", shown).split()).strip(". ")
    if len(name) > MAX_NAME:
        stem, dot, ending = name.rpartition(".")
        kept = dot + ending if stem and len(ending) <= _MAX_ENDING else ""
        name = name[: MAX_NAME - len(kept)].rstrip(". ") + kept
    return name or None


def media_type_of(raw: str | None) -> str:
    """A media type without parameters, in lower case (RFC 6838 §4.2); what is none is a row of bytes."""
    essence = (raw or "").partition(";")[0].strip().lower()
    return essence if _MEDIA_TYPE.fullmatch(essence) else UNKNOWN_TYPE
