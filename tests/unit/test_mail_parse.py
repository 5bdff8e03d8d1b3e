"""Reading mail: what is found in ordinary mail, and that no bytes stop the reader."""

import time
from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.email.files import safe_name
from channels.email.kind import MailKind
from channels.email.parse import MAX_TEXT, parse_mail


def mail(*headers: str, body: str = "Hello\r\n") -> bytes:
    return ("\r\n".join(headers) + "\r\n\r\n" + body).encode("utf-8", "surrogateescape")


def test_plain_mail() -> None:
    parsed = parse_mail(
        mail(
            "From: Ana Díaz <Ana@Example.ORG>",
            "To: support@localhost, Bob <bob@example.org>",
            "Cc: team: c@example.org;",
            "Subject: =?utf-8?q?Caf=C3=A9_bill?=",
            "Date: Mon, 23 Nov 2026 10:00:00 +0100",
            "Message-ID: <A.1@example.org>",
            "In-Reply-To: <b@x>",
            "References: <a@x>",
            "\t<b@x>",
            body="Where is it?\r\n\r\nOn Mon, 2 Nov 2026 at 09:00, Us <support@localhost> wrote:\r\n> Hi\r\n",
        )
    )
    assert parsed.sender == "ana@example.org"
    assert parsed.recipients == ("support@localhost", "bob@example.org", "c@example.org")
    assert parsed.subject == "Café bill"
    assert parsed.date == 1_795_424_400_000_000
    assert parsed.message_id == "<A.1@example.org>"
    assert parsed.thread_ids == ("<b@x>", "<a@x>")
    assert parsed.text == "Where is it?"
    assert parsed.quoted_text.startswith("On Mon, 2 Nov")
    assert parsed.full_text.endswith("> Hi")
    assert parsed.kind is MailKind.HUMAN
    assert not parsed.forwarded


@pytest.mark.parametrize(
    ("header", "sender", "count"),
    [
        ("a@example.org", "a@example.org", 1),
        ('"victim@example.org" <thief@example.com>', "thief@example.com", 1),
        ("=?utf-8?q?victim=40example.org=2C?= <thief@example.com>", "thief@example.com", 1),
        ("a@example.org (a comment (nested, b@example.org))", "a@example.org", 1),
        ("victim@example.org, thief@example.com", None, 2),
        ("<victim@example.org> <thief@example.com>", None, 1),
        ("<victim@example.org> thief@example.com", None, 1),
        ("victim@example.org <thief@example.com", None, 1),
        ("<@relay.example:a@example.org>", None, 1),
        ("victim@example.org@example.com", None, 1),
        ('"x" <', None, 1),
        ("Undisclosed: ;", None, 0),
        ("", None, 0),
        ("(" * 500, None, 0),
        ("," * 50_000, None, 0),
    ],
)
def test_the_sender_is_exactly_one_mailbox(header: str, sender: str | None, count: int) -> None:
    parsed = parse_mail(mail(f"From: {header}"))
    assert (parsed.sender, parsed.from_count) == (sender, count)


def test_two_from_headers_name_no_sender() -> None:
    parsed = parse_mail(mail("From: a@example.org", "From: b@example.org"))
    assert (parsed.sender, parsed.from_count) == (None, 2)


def test_a_from_header_beyond_the_cap_names_no_sender() -> None:
    assert parse_mail(mail("From: a@example.org (" + "x" * 20_000 + "), b@example.org")).sender is None


def test_missing_message_id_is_made_from_the_bytes() -> None:
    first, again, other = (parse_mail(mail(f"From: {who}@x.org")) for who in ("a", "a", "b"))
    assert first.message_id == again.message_id != other.message_id


def test_message_ids_that_a_client_has_encoded_are_read() -> None:
    # as Python's EmailMessage writes, by default, an id that is longer than a line
    parsed = parse_mail(
        mail(
            "From: ana@example.org",
            "In-Reply-To: =?utf-8?q?=3Cc=2Eagratryjz5zhvf442z2vjaihoy=2Eagratryj2r25totgc?=",
            " =?utf-8?q?py5zbpfa4=2Eglohu6jc2ipo7wcd=40shop=2Eexample=3E?=",
            "References: <first@x> =?utf-8?q?=3Cc=2Eagratryjz5zhvf442z2vjaihoy=2Eagra?=",
            " =?utf-8?q?tryj2r25totgcpy5zbpfa4=2Eglohu6jc2ipo7wcd=40shop=2Eexample=3E?=",
        )
    )
    ours = "<c.agratryjz5zhvf442z2vjaihoy.agratryj2r25totgcpy5zbpfa4.glohu6jc2ipo7wcd@shop.example>"
    assert parsed.in_reply_to == ours
    assert parsed.references == ("<first@x>", ours)


def test_references_are_bounded_and_the_newest_kept() -> None:
    parsed = parse_mail(mail("References: " + "\r\n ".join(f"<{i}@x>" for i in range(500))))
    assert len(parsed.references) == 50
    assert parsed.references[-1] == "<499@x>"


@pytest.mark.parametrize(
    ("charset", "content", "expected"),
    [
        ("utf-8", "naïve".encode(), "naïve"),
        ("big5", "這是 UTF-8".encode(), "這是 UTF-8"),
        ("iso-2022-jp", "日本語".encode("iso-2022-jp"), "日本語"),
        ("shift_jis", "日本語".encode("shift_jis"), "日本語"),
        ("gb2312", "你好".encode("gb18030"), "你好"),
        ("iso-8859-1", b"\x93quoted\x94 caf\xe9", "“quoted” café"),
        ("iso-8859-8-i", "שלום".encode("iso-8859-8"), "שלום"),
        ("ISO-8859-6-E", "مرحبا".encode("iso-8859-6"), "مرحبا"),
        ("koi8-u", "Привіт, їжак".encode("koi8-u"), "Привіт, їжак"),
        ("windows-874", "สวัสดี…".encode("cp874"), "สวัสดี…"),
        ("tis-620", "สวัสดี…".encode("cp874"), "สวัสดี…"),
        ("x-sjis", "①日本".encode("cp932"), "①日本"),
        ("x-gbk", "你好".encode("gbk"), "你好"),
        ("ks_c_5601-1989", "한국어".encode("euc-kr"), "한국어"),
        ("x-cp1251", "Привет".encode("cp1251"), "Привет"),
        ("x-mac-roman", "Grüße".encode("mac-roman"), "Grüße"),
        ("utf-16", "wide".encode("utf-16"), "wide"),
        ("X-UNKNOWN", b"caf\xe9", "café"),
        ("rot13", b"caf\xe9", "café"),
        ("idna", b"plain", "plain"),
        ("unicode_escape", b"\\ud800", "\\ud800"),
        ('"utf-8\\0"', b"caf\xc3\xa9", "café"),
        ("undefined", b"caf\xc3\xa9", "café"),
    ],
)
def test_charset_ladder(charset: str, content: bytes, expected: str) -> None:
    raw = mail(f"Content-Type: text/plain; charset={charset}", body="") + content
    assert parse_mail(raw).text == expected


def test_an_encoded_character_cut_in_two_words_is_whole() -> None:
    assert (
        parse_mail(mail("Subject: =?utf-8?b?w4Q=?= =?utf-8?q?=C3?= =?utf-8?q?=A4_end?=")).subject == "Ää end"
    )


def test_control_characters_do_not_get_through() -> None:
    parsed = parse_mail(
        mail("Subject: =?utf-8?q?hi=0D=0ABcc:_x=40example.org=00?=", body="a\x00b\x1b[31mc\x85d\ufeff\r\n")
    )
    assert parsed.subject == "hi Bcc: x@example.org"
    assert parsed.text == "ab[31mcd"


def test_html_only_mail_becomes_text() -> None:
    html = (
        "<html><head><title>no</title><style>p {x}</style></head><body><p>Hello&nbsp;&amp; bye</p>"
        "<ul><li>one<li>two</ul><!-- not this --><script>if (a<b) {}</script>"
        '<img src="data:image/png;base64,AAAA>"> <blockquote>old</blockquote></body></html>'
    )
    parsed = parse_mail(mail("Content-Type: text/html; charset=utf-8", body=html))
    assert parsed.full_text == "Hello & bye\n\n- one\n- two\n\n> old"
    assert parsed.text == "Hello & bye\n\n- one\n- two"


def multipart(kind: str, *parts: str, boundary: str = "b1") -> bytes:
    inner = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
    return mail(
        f'Content-Type: multipart/{kind}; boundary="{boundary}"', body=f"pre\r\n{inner}--{boundary}--\r\npost"
    )


def test_the_plain_alternative_is_chosen_unless_it_is_a_stub() -> None:
    html = "Content-Type: text/html\r\n\r\n<p>" + "The whole long story, told once more. " * 3
    full = "Content-Type: text/plain\r\n\r\nThe whole long story, told once more."
    stub = "Content-Type: text/plain\r\n\r\n-"
    assert parse_mail(multipart("alternative", full, html)).text == "The whole long story, told once more."
    assert parse_mail(multipart("alternative", stub, html)).text.startswith(
        "The whole long story, told once more. The"
    )


def test_attachments_are_described() -> None:
    pdf = b64encode(b"%PDF-1.4 x").decode()
    parsed = parse_mail(
        multipart(
            "mixed",
            "Content-Type: text/plain\r\n\r\nSee the file.",
            "Content-Type: application/pdf; name*0*=utf-8''..%2F..%2Fr%C3%A9; name*1*=sum%C3%A9.pdf\r\n"
            f"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n\r\n{pdf}",
            "Content-Type: image/png\r\nContent-ID: <i>\r\n\r\nx",
            "Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nnot this text",
        )
    )
    assert parsed.text == "See the file."
    assert [(a.name, a.media_type, a.size, a.inline) for a in parsed.attachments] == [
        ("résumé.pdf", "application/pdf", 10, False),
        (None, "image/png", 1, True),
        (None, "message/rfc822", 31, False),
    ]


@pytest.mark.parametrize(
    ("given_name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\a.exe", "a.exe"),
        ("..", None),
        ("a\r\nb:c", "a b_c"),
        (None, None),
    ],
)
def test_safe_name(given_name: str | None, safe: str | None) -> None:
    assert safe_name(given_name) == safe


def test_long_names_keep_their_suffix() -> None:
    name = safe_name("x" * 500 + ".pdf")
    assert name is not None
    assert len(name) == 120
    assert name.endswith(".pdf")


@pytest.mark.parametrize(
    ("headers", "mail_from", "kind"),
    [
        (["From: a@x.org"], "a@x.org", MailKind.HUMAN),
        (["From: a@x.org", "X-Auto-Response-Suppress: All"], None, MailKind.HUMAN),
        (["From: a@x.org", "Auto-Submitted: no"], None, MailKind.HUMAN),
        (["From: a@x.org"], "<>", MailKind.AUTO_REPLY),
        (["From: a@x.org", "Auto-Submitted: auto-replied (vacation)"], None, MailKind.AUTO_REPLY),
        (["From: a@x.org", "X-Autoreply: yes"], None, MailKind.AUTO_REPLY),
        (["From: a@x.org", "Subject: Automatic reply: away"], None, MailKind.AUTO_REPLY),
        (["From: a@x.org", "Subject: Out of office: back on Monday"], None, MailKind.AUTO_REPLY),
        (["From: a@x.org", "Subject: Abwesenheitsnotiz"], None, MailKind.AUTO_REPLY),
        (["From: a@x.org", "Subject: 自動返信メール"], None, MailKind.AUTO_REPLY),
        (["From: a@x.org", "Subject: Out of office chairs?"], None, MailKind.HUMAN),
        (["From: a@x.org", "Subject: Re: Automatic reply"], None, MailKind.HUMAN),
        (["From: a@x.org", "Subject: Undeliverable: your parcel"], None, MailKind.HUMAN),
        (["From: a@x.org", "Subject: Undeliverable: your mail"], "<>", MailKind.BOUNCE),
        (["From: postmaster@x.org", "Subject: Can you help?"], None, MailKind.AUTO_REPLY),
        (["From: no-reply@x.org"], None, MailKind.AUTO_REPLY),
        (
            ["From: a@x.org", "Content-Type: multipart/report; report-type=disposition-notification"],
            None,
            "auto_reply",
        ),
        (
            ["From: a@x.org", "Content-Type: multipart/report; report-type=delivery-status"],
            None,
            MailKind.BOUNCE,
        ),
        (["From: mailer-daemon@x.org"], "<>", MailKind.BOUNCE),
        (["From: a@x.org", "X-Failed-Recipients: b@x.org"], None, MailKind.BOUNCE),
        (
            ["From: a@x.org", "Content-Type: multipart/report; report-type=feedback-report"],
            None,
            MailKind.COMPLAINT,
        ),
        (["From: a@x.org", "List-Id: <l.x.org>"], None, MailKind.LIST),
        (["From: a@x.org", "Precedence: bulk"], None, MailKind.LIST),
        (["From: l-request@x.org"], None, MailKind.LIST),
    ],
)
def test_kind(headers: list[str], mail_from: str | None, kind: str) -> None:
    assert parse_mail(mail(*headers), mail_from).kind == kind


def test_a_header_block_beyond_the_cap_is_unparseable() -> None:
    parsed = parse_mail(mail("From: a@x.org", *(f"X-{i}: {'y' * 900}" for i in range(400))))
    assert parsed.kind is MailKind.UNPARSEABLE
    assert parsed.sender is None


def nested(depth: int) -> bytes:
    opened = "".join(
        f'--b{i}\r\nContent-Type: multipart/mixed; boundary="b{i + 1}"\r\n\r\n' for i in range(depth)
    )
    return mail('Content-Type: multipart/mixed; boundary="b0"', body=opened + f"--b{depth}\r\n\r\ninnermost")


NASTY = {
    "empty": b"",
    "no headers": b"\r\n\r\n\r\n",
    "only NUL": b"\0" * 100_000,
    "many commas": mail("To: " + "," * 50_000),
    "many addresses": mail("To: " + ", ".join(f"a{i}@example.org" for i in range(5000))),
    "open comments": mail("To: " + "(" * 16_000, "From: " + '"' * 16_000),
    "long line": mail("Subject: x", body="x" * 3_000_000),
    "nested 3000": nested(3000),
    "20 000 parts": multipart("mixed", *["\r\nx"] * 20_000),
    "empty parts": mail("Content-Type: multipart/mixed; boundary=b", body="--b\n" * 2_000_000),
    "near boundaries": mail("Content-Type: multipart/mixed; boundary=b", body="\n--bx" * 1_000_000),
    "no boundary": mail("Content-Type: multipart/mixed"),
    "parameters": mail("Content-Type: multipart/mixed" + ';a="' * 4_000),
    "numbered parameters": mail("Content-Type: text/plain" + "".join(f";n*{i}*=%FF" for i in range(1000))),
    "encoded words": mail("Subject: " + "=?" * 8_000, "Subject: " + "=?utf-8?q?=" * 1_400),
    "bad base64": mail("Content-Transfer-Encoding: base64", body="A" * 100_001 + "=é=\0"),
    "bad quoted-printable": mail("Content-Transfer-Encoding: quoted-printable", body="=" * 1_000_000),
    "surrogates": b"Subject: \xed\xa0\x80\r\n\r\n\xed\xa0\x80\xff\xfe",
    "html open comments": mail("Content-Type: text/html", body="<!--" * 250_000),
    "html open tags": mail("Content-Type: text/html", body="<a " * 300_000),
    "html open quotes": mail("Content-Type: text/html", body="<a b=\"<a b='" * 80_000),
    "html open scripts": mail("Content-Type: text/html", body="<script></script" * 60_000),
    "html references": mail("Content-Type: text/html", body="&#" + "9" * 500_000 + ";&#x" + "f" * 100_000),
    "html towers": mail("Content-Type: text/html", body="<blockquote>" * 50_000 + "x<br>" * 50_000),
    "headers only": b"a:\n" * 90_000,
    "continuations": b"Subject: x\n" + b" y\n" * 80_000,
    "quote towers": mail("Subject: x", body="\r\n".join(">" * (i % 900) for i in range(2_000))),
}


@pytest.mark.parametrize("name", NASTY)
def test_nasty_mail_is_read_in_bounded_time(name: str) -> None:
    began = time.process_time()
    parsed = parse_mail(NASTY[name])
    assert time.process_time() - began < 10
    assert len(parsed.full_text) <= MAX_TEXT
    parsed.full_text.encode("utf-8")


@given(st.binary(max_size=4000))
@settings(max_examples=200)
def test_any_bytes_are_read(raw: bytes) -> None:
    parsed = parse_mail(raw)
    for text in (parsed.text, parsed.full_text, parsed.subject, parsed.message_id):
        text.encode("utf-8")
        assert "\0" not in text


HEADER = st.sampled_from(
    ["From", "To", "Subject", "Date", "Message-ID", "References", "Content-Type", "Content-Transfer-Encoding"]
)
PIECE = st.sampled_from(
    ["<", ">", '"', "(", ")", ",", ";", ":", "@", "%", "é", "\0", "\r\n ", "\r\n", "=?utf-8?b?", "?=", "*0*="]
) | st.sampled_from(
    [
        "boundary=b",
        "multipart/mixed",
        "text/html",
        "charset=",
        "utf-16",
        "base64",
        "a@b.c",
        "<!--",
        "--b",
        "--b--",
    ]
)


@given(st.lists(st.tuples(HEADER, st.lists(PIECE, max_size=8)), max_size=8), st.lists(PIECE, max_size=40))
@settings(max_examples=200)
def test_any_arrangement_of_mail_syntax_is_read(
    headers: list[tuple[str, list[str]]], body: list[str]
) -> None:
    raw = mail(*(f"{name}: {''.join(value)}" for name, value in headers), body="\r\n".join(body))
    parsed = parse_mail(raw)
    assert parsed.kind is not MailKind.UNPARSEABLE
    assert parsed.sender is None or parsed.from_count == 1
