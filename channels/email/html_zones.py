"""What an element of a mail's HTML is, by what mail programs write into it: quotation, history, signature.

The table is of structures, not of mails: ids and classes that Gmail, Outlook, Apple Mail, Thunderbird, Yahoo,
Proton, Zoho, Zimbra, Roundcube, NetEase and others put around what they quote. Outlook on the web adds `x_`
to the ids and classes of a mail that is quoted again; a prefixed one counts as well.
"""

import re
from dataclasses import dataclass

from channels.email.lines import Zone

MAX_ATTRIBUTES = 4_000
"""Characters of a tag that are looked at."""

_ATTRIBUTE = re.compile(r"""([a-zA-Z-]{1,40})\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++))""")
_TELLING = re.compile(
    r"quote|cite|sign|rply|rpf|reply|append|prefix|attr|edit|message|olk|zwchr|stopspelling|display|border|extra|original"
    r"|marker|yahoo|forward|margin",
    re.IGNORECASE,
)
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_COPIED_HEADERS = re.compile(r"border-top:\s*solid\s+#(?:e1e1e1|b5c4df)", re.IGNORECASE)
_INDENTED = re.compile(r"border(?:-left)?:\s*(?:none|0(?:px)?\s*(?:;|$))", re.IGNORECASE)

_CLASSES = {
    "gmail_quote": Zone.FRAME,
    "gmail_quote_container": Zone.FRAME,
    "protonmail_quote": Zone.FRAME,
    "tutanota_quote": Zone.FRAME,
    "zmail_extra": Zone.FRAME,
    "nylas-quote": Zone.FRAME,
    "gmail_attr": Zone.HEADER,
    "moz-cite-prefix": Zone.HEADER,
    "yahoo_quoted": Zone.HISTORY,
    "yahoo-quoted": Zone.HISTORY,
    "ms-outlook-mobile-reference-message": Zone.HISTORY,
    "gmail_signature": Zone.SIGNATURE,
    "gmail_signature_prefix": Zone.SIGNATURE,
    "moz-signature": Zone.SIGNATURE,
    "protonmail_signature_block": Zone.SIGNATURE,
    "zm_signature": Zone.SIGNATURE,
}
_IDS = {
    "olk_src_body_section": Zone.HISTORY,
    "mail-editor-reference-message-container": Zone.HISTORY,
    "isreplycontent": Zone.FRAME,
    "reply-intro": Zone.HEADER,
    "edo-original": Zone.HISTORY,
    "signature": Zone.SIGNATURE,
    "applemailsignature": Zone.SIGNATURE,
    "ms-outlook-mobile-signature": Zone.SIGNATURE,
}
_FOLLOWED_IDS = ("divrplyfwdmsg", "appendonsend", "zwchr", "stopspelling", "replysplit", "divrpf")
"""How the ids begin of what Outlook, Hotmail and Zimbra put above a history without an element of its own."""
_FOLLOWED_CLASSES = ("outlookmessageheader",)


@dataclass(frozen=True, slots=True)
class Element:
    """What an element's tag says."""

    zone: Zone | None = None
    quotes: bool = False
    hidden: bool = False
    history_follows: bool = False
    """From here to the end, everything is history."""


PLAIN = Element()
_QUOTATION = Element(quotes=True, zone=Zone.INDENTED)


def element_of(name: str, tag: str) -> Element:
    """What an element is. `tag`: its attributes as they stand in the source."""
    if not tag:
        return _QUOTATION if name == "blockquote" else PLAIN
    telling = _TELLING.search(tag, 0, MAX_ATTRIBUTES) is not None
    if name == "blockquote":
        return Element(quotes=not telling or _INDENTED.search(tag, 0, MAX_ATTRIBUTES) is None)
    if not telling:
        return PLAIN
    attributes = _attributes(tag)
    ids = [_unprefixed(attributes.get("id", ""))]
    classes = [_unprefixed(word) for word in attributes.get("class", "").split()[:20]]
    style = attributes.get("style", "")
    if any(id_.startswith(_FOLLOWED_IDS) for id_ in ids) or any(
        word in _FOLLOWED_CLASSES for word in classes
    ):
        return Element(history_follows=True)
    zones = [*(_CLASSES.get(word) for word in classes), *(_IDS.get(id_) for id_ in ids)]
    zone = next(filter(None, zones), None) or _zone_of_others(attributes, classes, style)
    return Element(zone=zone, hidden=_HIDDEN.search(style) is not None)


def _zone_of_others(attributes: dict[str, str], classes: list[str], style: str) -> Zone | None:
    if _COPIED_HEADERS.search(style):
        return Zone.BLOCK
    if attributes.get("name", "").lower() == "messagereplysection":
        return Zone.FRAME
    if attributes.get("data-marker", "").upper() in ("__QUOTED_TEXT__", "__HEADERS__"):
        return Zone.HISTORY
    if attributes.get("data-smartmail", "") == "gmail_signature":
        return Zone.SIGNATURE
    if any(word.startswith("yahoo_quoted") for word in classes):
        return Zone.HISTORY
    return None


def _attributes(tag: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(tag, 0, MAX_ATTRIBUTES):
        found.setdefault(match[1].lower(), match[2] or match[3] or match[4] or "")
    return found


def _unprefixed(word: str) -> str:
    word = word.lower()
    while word.startswith("x_"):
        word = word[2:]
    return word
