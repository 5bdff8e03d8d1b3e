"""What a reply quotes below itself: the mail that it answers, under our own line and who wrote it when.

Who answers us finds their own words, and what comes back is cut at our line in whatever language the mail
program announces quotations. No sentence of ours is in it, so that it needs no translation.
"""

from datetime import UTC, datetime
from html import escape

from channels.email.charset import clean
from channels.email.trim import REPLY_MARKER
from gateway.domain.clock import SECOND
from gateway.domain.delivery import Delivery

_FAINT = "color:#767676;font-family:sans-serif;font-size:12px;margin-top:2em"
_QUOTE = "margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex;white-space:pre-wrap"


def quoted_text(delivery: Delivery) -> str:
    """For the plain text; empty where nothing is quoted."""
    answered = delivery.thread.answered
    if answered is None:
        return ""
    lines = clean(answered.text).strip("\n").split("\n")
    quoted = "\n".join(f"> {line}".rstrip() for line in lines)
    return f"\n{REPLY_MARKER}\n\n{_headed(delivery, answered.at)}\n{quoted}\n"


def quoted_html(delivery: Delivery) -> str:
    """For the HTML; empty where nothing is quoted."""
    answered = delivery.thread.answered
    if answered is None:
        return ""
    text = escape(clean(answered.text).strip("\n"))
    return (
        f'\n<div class="gmail_quote"><div style="{_FAINT}">{REPLY_MARKER}<br>\n'
        f"{escape(_headed(delivery, answered.at))}</div>\n"
        f'<blockquote type="cite" dir="auto" style="{_QUOTE}">{text}</blockquote></div>\n'
    )


def _headed(delivery: Delivery, at: int) -> str:
    return f"{datetime.fromtimestamp(at // SECOND, UTC):%Y-%m-%d %H:%M} UTC, {delivery.recipient}:"
