"""What the person is told before a warm transfer joins them with the caller."""

import re
from collections.abc import Mapping

from gateway.domain.intent import MAX_SPOKEN, CallTransferIntent, WarmTransfer

NONE, TEMPLATE = "none", "template"
"""Values of `message_mode` besides `ai_summary`; one that is not known counts as that."""
MAX_QUOTED = 300
"""Characters of the caller's own words."""
_PLACE = re.compile(r"\{(summary|reason|label|said)\}")
_NUMBER = re.compile(r"[0-9](?:[ -]?[0-9]){3,}")


def briefing_text(intent: CallTransferIntent, summary: str | None, said: str) -> str:
    """The briefing of a resolved intent; "" where none is wanted.

    `summary`: what the agent says of the conversation, if it does. `said`: the caller's words that led here.
    A template may name {summary}, {reason}, {label} and {said}; it stands in where there is no summary.
    """
    settings = intent.warm or WarmTransfer()
    if settings.message_mode == NONE:
        return ""
    summary, template = (summary or "").strip(), settings.briefing_template or ""
    plain = _plain(intent, said)
    framed = settings.message_mode == TEMPLATE or not summary or "{summary}" in template
    if template.strip() and framed:
        values = {
            "summary": summary or plain,
            "reason": intent.reason or "",
            "label": intent.label or "",
            "said": _quotable(said),
        }
        return _filled(template, values)[:MAX_SPOKEN]
    return (summary or plain)[:MAX_SPOKEN]


def _filled(template: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda place: values[place[1]], template)


def _plain(intent: CallTransferIntent, said: str) -> str:
    """Without a summary: why, and the caller's own last words."""
    about = f" about: {intent.reason}" if intent.reason else ""
    quoted = _quotable(said)
    return f"A caller would like to speak with you{about}." + (f" They said: {quoted}" if quoted else "")


def _quotable(said: str) -> str:
    """One line, without long numbers: a PIN or a card's is nobody else's."""
    line = _NUMBER.sub("…", " ".join(said.split()))
    return line if len(line) <= MAX_QUOTED else line[: MAX_QUOTED - 1].rstrip() + "…"
