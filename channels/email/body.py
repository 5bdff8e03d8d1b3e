"""The body of a mail we write: the text as the agent wrote it, the same as HTML for who prefers that, files.

RFC 2045 §6 (encodings), RFC 2046 §5.1.3 (mixed) and §5.1.4 (alternatives, the best last), RFC 2183 (files).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP

from channels.email.charset import clean, one_line
from channels.email.markdown import markdown_to_html

MAX_LINE = 900
"""Bytes of a line that travels as it is; RFC 5322 §2.1.1 allows 998."""

_PART = SMTP.clone(max_line_length=76)
"""Encoded lines are at most 76 long (RFC 2045 §6.7, §6.8)."""


@dataclass(frozen=True, slots=True)
class MailFile:
    """A file that goes with a mail; its name is safe already."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Below:
    """What stands below the text of a mail, both ways."""

    text: str = ""
    html: str = ""


NOTHING = Below()


def set_body(
    mail: EmailMessage, text: str, token: str, below: Below = NOTHING, files: Sequence[MailFile] = ()
) -> None:
    """Give the mail its body. `token` is the same for the same mail, and occurs in no text."""
    both = mail
    if files:
        mail.make_mixed(boundary=f"=m_{token}")
        both = EmailMessage(_PART)
    shown = clean(text).rstrip("\n") + "\n"
    both.make_alternative(boundary=f"=_{token}")
    both.attach(_part(shown + below.text, "plain"))
    both.attach(_part(markdown_to_html(shown, below.html), "html"))
    if files:
        mail.attach(both)
    for file in files:
        mail.attach(_file(file))


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _file(file: MailFile) -> EmailMessage:
    kind, _, subtype = file.media_type.partition("/")
    if kind in ("message", "multipart"):  # these may not be in base64 (RFC 2046 §5)
        kind, subtype = "application", "octet-stream"
    part = EmailMessage(_PART)
    part.set_content(
        file.content,
        kind,
        subtype,
        cte="base64",
        disposition="attachment",
        filename=one_line(file.name),
        params={"charset": "utf-8"} if kind == "text" and _is_utf8(file.content) else None,
    )
    del part["MIME-Version"]
    return part


def _part(text: str, subtype: str) -> EmailMessage:
    part = EmailMessage(_PART)
    part.set_content(text, subtype, charset="utf-8", cte=_encoding(text))
    del part["MIME-Version"]
    return part


def _encoding(text: str) -> str:
    """As it is where that may travel; else as can be read where letters are Latin, else the shorter way."""
    if text.isascii() and all(len(line) <= MAX_LINE for line in text.split("\n")):
        return "7bit"
    beyond = len(text.encode()) - sum(character.isascii() for character in text)
    return "base64" if beyond * 3 > len(text.encode()) else "quoted-printable"
