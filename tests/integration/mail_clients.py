"""How mail programs group mails into threads: by ids (JWZ, RFC 5256 §3), and as Gmail and Outlook do."""

import re
from collections.abc import Sequence
from email.message import EmailMessage
from itertools import pairwise

_REPLY_MARK = re.compile(r"(?:re|aw|fwd?)\s*:\s*", re.IGNORECASE)


def base_subject(mail: EmailMessage) -> str:
    """The subject without marks of replies."""
    text = str(mail["Subject"] or "").strip()
    while match := _REPLY_MARK.match(text):
        text = text[match.end() :]
    return " ".join(text.split()).lower()


def ids_in(header: object) -> list[str]:
    """The message ids of a header."""
    return re.findall(r"<[^<>\s]+>", str(header or ""))


def chain(mail: EmailMessage) -> list[str]:
    """What a mail says came before it, oldest first: References, else In-Reply-To."""
    return ids_in(mail["References"]) or ids_in(mail["In-Reply-To"])[:1]


def jwz_threads(mails: Sequence[EmailMessage]) -> list[list[str]]:
    """The threads of a folder by ids alone: each a path from its first mail to its last, or several."""
    parent: dict[str, str] = {}
    for mail in mails:
        line = [*chain(mail), str(mail["Message-ID"])]
        for before, after in pairwise(line):
            parent.setdefault(after, before)
    roots: dict[str, list[str]] = {}
    for mail in mails:
        own = root = str(mail["Message-ID"])
        while root in parent:
            root = parent[root]
        roots.setdefault(root, []).append(own)
    return list(roots.values())


def gmail_keeps(thread: Sequence[EmailMessage], mail: EmailMessage) -> bool:
    """Whether Gmail puts a mail into a thread: the same base subject, and an id it knows."""
    known = {str(one["Message-ID"]) for one in thread}
    named = {*ids_in(mail["References"]), *ids_in(mail["In-Reply-To"])}
    return base_subject(mail) == base_subject(thread[0]) and bool(known & named)


def outlook_keeps(thread: Sequence[EmailMessage], mail: EmailMessage) -> bool:
    """Whether Outlook shows a mail in a conversation: its topic is the same, and it answers a mail of it."""
    known = {str(one["Message-ID"]) for one in thread}
    return base_subject(mail) == base_subject(thread[0]) and ids_in(mail["In-Reply-To"])[0] in known
