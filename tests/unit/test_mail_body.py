"""The HTML that is made of an agent's Markdown, and how bodies travel."""

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.email.body import set_body
from channels.email.html_text import html_to_text
from channels.email.markdown import MAX_RENDERED, markdown_to_html


def body_of(text: str) -> EmailMessage:
    mail = EmailMessage(SMTP)
    set_body(mail, text, "=_boundary")
    return message_from_bytes(mail.as_bytes(), policy=SMTP)


def parts_of(mail: EmailMessage) -> list[EmailMessage]:
    return [part for part in mail.iter_parts() if isinstance(part, EmailMessage)]


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("**bold** and `code`", '<p dir="auto"><strong>bold</strong> and <code>code</code></p>'),
        ("one\ntwo", '<p dir="auto">one<br />\ntwo</p>'),
        ("- a\n- b", '<ul dir="auto">\n<li dir="auto">a</li>\n<li dir="auto">b</li>\n</ul>'),
        ("~~no~~", '<p dir="auto"><s>no</s></p>'),
        ("[us](https://example.org/?a=1&b=2)", '<a href="https://example.org/?a=1&amp;b=2">us</a>'),
        ("[mail](mailto:a@x.org) [call](tel:+15550100)", '<a href="tel:+15550100">call</a>'),
        ("<https://example.org>", '<a href="https://example.org">https://example.org</a>'),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
        ("[x](JAVASCRIPT:alert(1))", "[x](JAVASCRIPT:alert(1))"),
        ("[x](data:text/html,hi)", "[x](data:text/html,hi)"),
        ("[x](/relative)", "[x](/relative)"),
        ("[x](//example.org)", "[x](//example.org)"),
        ("[x](vbscript&colon;x)", "[x](vbscript"),
        ("![pixel](https://example.org/p.png)", '!<a href="https://example.org/p.png">pixel</a>'),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ('<img src=x onerror="a">', "&lt;img src=x onerror=&quot;a&quot;&gt;"),
        ("שלום", '<p dir="auto">שלום</p>'),
    ],
)
def test_markdown(markdown: str, html: str) -> None:
    assert html in markdown_to_html(markdown)


SYNTAX = st.sampled_from(
    [*"[]()<>!\n`*_|\"'\\&#a\t", "javascript:", "data:", "http://x", "\n\n", "> ", "- ", "```"]
) | (
    st.sampled_from(
        ["**", "~~", "&#106;", "x.org", "<a href=", "<img ", "onerror=", "mailto:", "1. ", "---", "é", "ש"]
    )
)


@given(st.lists(SYNTAX, max_size=60).map("".join))
def test_nothing_but_our_own_elements_and_safe_links_is_made(markdown: str) -> None:
    html = markdown_to_html(markdown)
    allowed = (
        r"!DOCTYPE html|/?html|/?head|/?body|meta charset=\"utf-8\"|div style=\"[^\"<>]*\"|/div|br /|hr /"
        r"|/?(?:p|ul|ol|li|blockquote|pre|code|em|strong|s|table|thead|tbody|tr|th|td|h[1-6]|a)"
        r"(?: (?:dir=\"auto\"|start=\"\d+\""
        r"|class=\"language-[^\"<>]*\"|style=\"text-align:\w+\"|title=\"[^\"<>]*\""
        r"|href=\"(?:https?|mailto|tel):[^\"<>]*\"))*"
    )
    for tag in re.findall(r"<([^>]*)>", html):
        assert re.fullmatch(allowed, tag, re.IGNORECASE), tag


def test_a_very_long_text_is_shown_as_it_is() -> None:
    html = markdown_to_html("**a** <b>\n" * 3000)
    assert len("**a** <b>\n" * 3000) > MAX_RENDERED
    assert "**a** &lt;b&gt;\n**a**" in html


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain", "7bit"),
        ("x" * 2000, "quoted-printable"),
        ("Grüße aus Köln, und alles Gute", "quoted-printable"),
        ("お世話になっております", "base64"),
        ("مرحبا بكم", "base64"),
    ],
)
def test_how_a_body_travels(text: str, encoding: str) -> None:
    mail = body_of(text)
    plain, html = parts_of(mail)
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert plain["Content-Transfer-Encoding"] == encoding
    assert plain.get_content().replace("\r\n", "\n") == text + "\n"
    assert html_to_text(html.get_content()) == text
    assert max(map(len, mail.as_bytes().split(b"\r\n"))) <= 900
    assert mail.as_bytes().isascii()


def test_encoded_lines_are_short() -> None:
    mail = EmailMessage(SMTP)
    set_body(mail, "é" * 500, "=_boundary")
    assert max(map(len, mail.as_bytes().split(b"\r\n"))) <= 78


@given(st.text(max_size=500))
def test_any_text_travels(text: str) -> None:
    assert len(parts_of(body_of(text))) == 2
