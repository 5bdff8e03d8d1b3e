"""The body of a mail we write: the text as the agent wrote it, and the same as HTML for who prefers that.

RFC 2046 §5.1.4 (alternatives, the best last), RFC 2045 §6 (encodings).
"""

from email.message import EmailMessage
from email.policy import SMTP

from channels.email.charset import clean
from channels.email.markdown import markdown_to_html

MAX_LINE = 900
"""Bytes of a line that travels as it is; RFC 5322 §2.1.1 allows 998."""

_PART = SMTP.clone(max_line_length=76)
"""Encoded lines are at most 76 long (RFC 2045 §6.7, §6.8)."""


def set_body(mail: EmailMessage, text: str, boundary: str) -> None:
    """Give the mail its body. `boundary` is the same for the same mail, and occurs in no text."""
    shown = clean(text).rstrip("\n") + "\n"
    mail.make_alternative(boundary=boundary)
    mail.attach(_part(shown, "plain"))
    mail.attach(_part(markdown_to_html(shown), "html"))


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
