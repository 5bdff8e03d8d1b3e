"""The mails we write: threaded, the same each time, and closed to injected headers."""

from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.email.body import MailFile
from channels.email.compose import compose
from channels.email.parse import parse_mail
from channels.email.thread import ThreadMarks
from channels.email.trim import REPLY_MARKER, trim
from gateway.domain.delivery import Answered, Delivery, DeliveryState, Thread
from gateway.domain.message import Channel

MARKS = ThreadMarks("example.org", (b"secret",))
DELIVERY = Delivery(
    id="0192f000-0000-7000-8000-000000000001",
    lane="lane",
    number=1,
    organization_id="0192f000-0000-7000-8000-000000000002",
    conversation_id="0192f000-0000-7000-8000-000000000003",
    message_id="0192f000-0000-7000-8000-000000000004",
    message_seq=1,
    turn_id=None,
    channel=Channel.EMAIL,
    sender="support@example.org",
    recipient="ana@example.com",
    text="Hello",
    state=DeliveryState.PENDING,
    attempt=0,
    sandboxed=False,
    created_at=1_795_424_400_000_000,
    thread=Thread(subject="Rechnung für März", in_reply_to="<B@x>", references=("<a@x>",)),
)


def read(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=SMTP)


def plain_text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def test_a_reply() -> None:
    raw = compose(DELIVERY, "Grüße\nAna", MARKS)
    mail = read(raw)
    assert mail["From"] == "support@example.org"
    assert mail["To"] == "ana@example.com"
    assert mail["Subject"] == "Re: Rechnung für März"
    assert mail["Date"] == "Mon, 23 Nov 2026 09:00:00 +0000"
    assert mail["Message-ID"] == MARKS.message_id(DELIVERY.conversation_id, DELIVERY.message_id)
    assert mail["In-Reply-To"] == "<B@x>"
    assert mail["References"] == "<a@x> <B@x>"
    named = MARKS.read_reply_address(mail["Reply-To"], "ana@example.com", DELIVERY.created_at)
    assert named == DELIVERY.conversation_id
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail["X-Auto-Response-Suppress"] == "All"
    assert mail["X-Loop"] == "example.org"
    assert mail.get_all("MIME-Version") == ["1.0"]  # RFC 2045 §4 wants it, or the parts are shown as text
    assert plain_text(mail) == "Grüße\r\nAna\r\n"
    assert raw == compose(DELIVERY, "Grüße\nAna", MARKS)
    raw.decode("ascii")


def test_what_a_person_wrote_is_not_marked_as_automatic() -> None:
    by_person = replace(DELIVERY, thread=replace(DELIVERY.thread, by_person=True))
    mail = read(compose(by_person, "Hello", MARKS))
    assert mail["Auto-Submitted"] is None
    assert mail["X-Auto-Response-Suppress"] == "All"
    assert mail["X-Loop"] == "example.org"


def test_a_first_mail_is_no_reply() -> None:
    mail = read(compose(replace(DELIVERY, thread=Thread(subject="News")), "Hello", MARKS))
    assert (mail["Subject"], mail["In-Reply-To"], mail["References"]) == ("News", None, None)


def test_long_ids_are_written_as_they_are() -> None:
    ids = tuple(f"<{i}{'x' * 400}@example.org>" for i in range(30))
    raw = compose(
        replace(DELIVERY, thread=Thread(subject="S", in_reply_to=ids[-1], references=ids)), "x", MARKS
    )
    assert b"=?" not in raw.partition(b"\r\n\r\n")[0]
    assert str(read(raw)["References"]).split()[-1] == ids[-1]
    assert max(map(len, raw.split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    "name",
    [
        "The Shop",
        "Shop, Inc. (EU)",
        'Ana "at" the \\ Shop',
        "Größe & Söhne",
        'Größe, "die" Söhne (EU)',
        "商店",
        "x" * 100,
        "é" * 100,
    ],
)
@pytest.mark.parametrize("recipient", ["ana@example.com", "josé@example.com"])
def test_a_mail_may_be_from_somebody(name: str, recipient: str) -> None:
    raw = compose(replace(DELIVERY, recipient=recipient), "x", MARKS, from_name=name)
    (sender,) = read(raw)["From"].addresses
    shown = sender.display_name.encode("utf-8", "surrogateescape").decode()
    assert (shown, sender.addr_spec) == (name, "support@example.org")
    assert raw.startswith(b"From: ")
    assert b"\r\nTo: " in raw[:1200]


def test_addresses_beyond_ascii_are_utf_8() -> None:
    mail = read(compose(replace(DELIVERY, recipient="josé@example.com"), "x", MARKS))
    assert mail["To"] == "josé@example.com"


@pytest.mark.parametrize(
    "recipient", ["a@x.org,b@x.org", "a@x.org\r\nBcc: b@x.org", "a b@x.org", "<a@x.org>"]
)
def test_what_is_no_address_is_refused(recipient: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in a header"):
        compose(replace(DELIVERY, recipient=recipient), "x", MARKS)


ANY_TEXT = st.text(max_size=300) | st.sampled_from(
    ["x\r\nBcc: y@x.org", "x\nBcc: y", "\x00", "\ud800", "\u2028y"]
)


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_no_text_adds_a_header(subject: str, answered: str, reference: str, text: str) -> None:
    thread = Thread(subject=subject, in_reply_to=answered, references=(reference,))
    head = compose(replace(DELIVERY, thread=thread), text, MARKS).partition(b"\r\n\r\n")[0]
    names = {
        line.partition(b":")[0].lower() for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))
    }
    assert names <= {
        b"from", b"to", b"subject", b"date", b"message-id", b"in-reply-to", b"references", b"reply-to",
        b"auto-submitted", b"x-auto-response-suppress", b"x-loop", b"mime-version",
        b"content-type", b"content-transfer-encoding",
    }  # fmt: skip


@given(ANY_TEXT)
def test_the_text_arrives(text: str) -> None:
    sent = text.replace("\r\n", "\n").replace("\r", "\n")
    if sent.isprintable() and sent.isascii():
        assert plain_text(read(compose(DELIVERY, text, MARKS))) == sent + "\r\n"


ANSWERED = replace(
    DELIVERY,
    thread=replace(DELIVERY.thread, answered=Answered("Où est\n\n<b>1001</b>?\n", 1_795_424_340_000_000)),
)


def html_of(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    assert body is not None
    return str(body.get_content())


def test_what_is_answered_stands_below_our_own_line() -> None:
    mail = read(compose(ANSWERED, "It *is* here.", MARKS))
    assert plain_text(mail).replace("\r\n", "\n") == (
        "It *is* here.\n\n-- reply above this line --\n\n"
        "2026-11-23 08:59 UTC, ana@example.com:\n> Où est\n>\n> <b>1001</b>?\n"
    )
    html = html_of(mail)
    assert "&lt;b&gt;1001&lt;/b&gt;?" in html
    assert "<b>1001" not in html
    assert html.index("<em>is</em>") < html.index(REPLY_MARKER) < html.index("Où est")


def test_an_answer_to_it_is_cut_at_our_line() -> None:
    ours = plain_text(read(compose(ANSWERED, "It is here.", MARKS))).replace("\r\n", "\n")
    quoted = "\n".join(f"> {line}".rstrip() for line in ours.split("\n"))
    assert trim(f"Thanks!\n{quoted}").new_text == "Thanks!"
    assert trim(f"Thanks!\n\n{ours}").new_text == "Thanks!\n\nIt is here."  # no mark at all: kept, not lost


def test_what_is_written_below_our_line_is_no_history() -> None:
    ours = plain_text(read(compose(ANSWERED, "It is here.", MARKS))).replace("\r\n", "\n")
    quoted = "\n".join(f"> {line}".rstrip() for line in ours.split("\n"))
    header = "On Mon, Nov 23, 2026 at 9:00 AM Support <s@example.org> wrote:"
    assert trim(f"{header}\n{quoted}\n\nThanks!").new_text == "Thanks!"
    assert "And the other one?" in trim(f"Thanks!\n{header}\n{quoted}\nAnd the other one?").new_text


def test_an_html_answer_to_it_is_cut_too() -> None:
    ours = html_of(read(compose(ANSWERED, "It is here.", MARKS)))
    quote = f'<div class="gmail_quote"><div>Support:<br></div><blockquote>{ours}</blockquote></div>'
    mail = EmailMessage()
    mail["From"] = "ana@example.com"
    mail.set_content(f"<div>Thanks!</div><br>{quote}", subtype="html")
    assert parse_mail(mail.as_bytes()).text == "Thanks!"


def test_files_stand_below_the_text_in_their_order() -> None:
    files = [
        MailFile("Rechnung März 2026.pdf", "application/pdf", bytes(range(256))),
        MailFile('evil".eml', "message/rfc822", b"Subject: x\n\ny"),
        MailFile("list.csv", "text/csv", "ä;ö\n".encode()),
    ]
    raw = compose(DELIVERY, "Grüße", MARKS, files)
    assert raw == compose(DELIVERY, "Grüße", MARKS, files)
    assert max(len(line) for line in raw.split(b"\r\n")) <= 900
    mail = read(raw)
    assert mail["MIME-Version"] == "1.0"
    assert mail.get_content_type() == "multipart/mixed"
    assert plain_text(mail) == "Grüße\r\n"
    found = [
        (p.get_filename(), p.get_content_type(), p.get_payload(decode=True)) for p in mail.iter_attachments()
    ]
    assert found == [
        (files[0].name, "application/pdf", files[0].content),
        (files[1].name, "application/octet-stream", files[1].content),
        (files[2].name, "text/csv", files[2].content),
    ]
    charsets = [part.get_content_charset() for part in mail.iter_attachments()]
    assert charsets == [None, None, "utf-8"]
    latin = MailFile("list.csv", "text/csv", "ä;ö\n".encode("latin-1"))
    (part,) = read(compose(DELIVERY, "x", MARKS, [latin])).iter_attachments()
    assert (part.get_content_charset(), part.get_payload(decode=True)) == (None, latin.content)
    assert not list(read(compose(DELIVERY, "Grüße", MARKS)).iter_attachments())
