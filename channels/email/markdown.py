"""The agent's Markdown as HTML that is safe in anybody's mail program.

CommonMark with tables and strikethrough. HTML in the text is shown, not run; pictures are not fetched from
anywhere; links lead to the web, a mailbox or a telephone only. Every block takes its direction from its first
letter, so that Arabic and Hebrew stand right.
"""

from html import escape
from urllib.parse import urlsplit

from markdown_it import MarkdownIt

MAX_RENDERED = 10_000
"""Characters that are rendered; a longer text is shown as it is, because rendering could take seconds."""

_SCHEMES = frozenset({"http", "https", "mailto", "tel"})
_STYLE = "font-family:sans-serif;font-size:14px;line-height:1.5"


class _Markdown(MarkdownIt):
    """The parser, with our idea of a safe link."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False, "breaks": True})
        self.enable(["table", "strikethrough"])
        self.disable(["image", "html_block", "html_inline"])

    def validateLink(self, url: str) -> bool:  # noqa: N802 -- markdown-it's name
        """Whether a link may be one; else its text stays as it was written."""
        try:
            return urlsplit(url.strip()).scheme.lower() in _SCHEMES
        except ValueError:
            return False


_MARKDOWN = _Markdown()


def markdown_to_html(text: str, below: str = "") -> str:
    """A whole HTML document for a text; `below` is HTML that follows it."""
    if len(text) > MAX_RENDERED:
        body = f'<div dir="auto" style="white-space:pre-wrap">{escape(text)}</div>\n'
    else:
        body = _rendered(text)
    return (
        '<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head>\n'
        f'<body><div style="{_STYLE}">\n{body}</div>{below}</body></html>\n'
    )


def _rendered(text: str) -> str:
    tokens = _MARKDOWN.parse(text)
    for token in tokens:
        if token.nesting == 1 and token.block:
            token.attrSet("dir", "auto")
    return str(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))
