"""The body of `gateway mail parse`: what ingress makes of raw mails, for people and for scripts."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from channels.email.parse import ParsedMail, parse_mail
from gateway.domain.message import JsonObject, SenderAuth


def parse_lines(paths: Iterable[Path], *, jsonl: bool) -> Iterator[str]:
    """What to print: a JSON object a mail, on one line with `jsonl`. OSError: a file cannot be read."""
    for path in paths:
        mail = parse_mail(path.read_bytes())
        yield json.dumps(_fields(mail), ensure_ascii=False, indent=None if jsonl else 2)


def _fields(mail: ParsedMail) -> JsonObject:
    """The fields of contract/runtime.md. A file has no envelope, so nothing proves its sender."""
    return {
        "text": mail.text,
        "full_text": mail.full_text,
        "quoted_text": mail.quoted_text,
        "subject": mail.subject,
        "from": mail.sender,
        "recipients": list(mail.recipients),
        "message_id": mail.message_id,
        "in_reply_to": mail.in_reply_to,
        "references": list(mail.references),
        "attachments": [attachment.described() for attachment in mail.attachments],
        "kind": mail.kind.value,
        "sender_auth": SenderAuth.UNVERIFIED.value,
        "forwarded": mail.forwarded,
    }
