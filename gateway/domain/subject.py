"""Subjects of mails: what marks a reply, and what is left without such marks."""

import re

REPLY_MARK = re.compile(
    r"(?:re|aw|antw|sv|vs|ref|rif|res|r|odp|ynt|отв|回复|回覆|答复)(?:\[[0-9]{1,3}\])?\s?[:：]", re.IGNORECASE
)
LEAST_BASE = 5
"""Characters of a subject that says which thread is meant; a shorter one may be anybody's."""
_MOST_MARKS = 10


def base_subject(subject: str) -> str:
    """The subject without marks of replies, comparable."""
    text = subject.strip()
    for _ in range(_MOST_MARKS):
        mark = REPLY_MARK.match(text)
        if mark is None:
            break
        text = text[mark.end() :].lstrip()
    else:
        return ""
    return " ".join(text.split()).casefold()


def answered_subject(subject: str) -> str | None:
    """The base subject of a reply; None where it is no reply, or too short to mean one thread."""
    if REPLY_MARK.match(subject.strip()) is None:
        return None
    base = base_subject(subject)
    return base if len(base) >= LEAST_BASE else None
