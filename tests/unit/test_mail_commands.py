"""What `gateway mail parse` prints."""

import json
from pathlib import Path

from channels.email.commands import parse_lines


def test_a_line_of_json_for_each_mail(tmp_path: Path) -> None:
    first, second = tmp_path / "1.eml", tmp_path / "2.eml"
    first.write_bytes(
        b"From: ana@example.com\nTo: s@example.org\nSubject: Bill\nMessage-ID: <a@x>\n\nHi\n-- \nAna\n"
    )
    second.write_bytes(b"\xff\x00")
    lines = list(parse_lines([first, second], jsonl=True))
    assert json.loads(lines[0]) == {
        "text": "Hi",
        "full_text": "Hi\n--\nAna",
        "quoted_text": "",
        "subject": "Bill",
        "from": "ana@example.com",
        "recipients": ["s@example.org"],
        "message_id": "<a@x>",
        "in_reply_to": None,
        "references": [],
        "attachments": [],
        "kind": "human",
        "sender_auth": "unverified",
        "forwarded": False,
    }
    assert all("\n" not in line for line in lines)
    assert json.loads(lines[1])["from"] is None


def test_for_people_it_is_indented(tmp_path: Path) -> None:
    file = tmp_path / "1.eml"
    file.write_bytes(b"From: a@x.org\n\nHi\n")
    [text] = parse_lines([file], jsonl=False)
    assert '\n  "text": "Hi"' in text
