"""The text that is really sent: Markdown made plain and characters substituted so that GSM-7 will do."""

import unicodedata

from channels.sms.markdown import plain
from channels.sms.segments import is_gsm7
from channels.sms.substitutions import OURS, SMART_ENCODING

__all__ = ["plain", "smart_encode", "sms_text", "transliterate"]


def smart_encode(text: str) -> str:
    """What Twilio's Smart Encoding makes of a text: every code point it knows, be the result GSM-7 or not."""
    return text.translate(SMART_ENCODING)


def transliterate(text: str) -> str:
    """The text in NFC, substituted by our map if that makes it wholly GSM-7, else not substituted at all.

    The map is Smart Encoding's except that a no-break space or a tab is one space and that a few characters
    common in the writing of language models are added (`channels.sms.substitutions.OURS`).
    """
    composed = unicodedata.normalize("NFC", text)
    if is_gsm7(composed):
        return composed
    substituted = composed.translate(OURS)
    return substituted if is_gsm7(substituted) else composed


def sms_text(markdown: str) -> str:
    """A reply as it is cut into parts: plain, and each line transliterated by itself.

    By line, because the encoding is chosen per part: an emoji in one paragraph shall not keep the curly
    quotes of the others, and with them UCS-2.
    """
    lines = plain(markdown).split("\n")
    return "\n".join(transliterate(line) for line in lines).strip()
