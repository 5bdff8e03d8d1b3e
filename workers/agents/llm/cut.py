"""Bounds of what a model reads: an estimate of tokens, and cuts that say that something was cut."""

NOTICE = "\n[… {left_out} characters left out …]\n"


def tokens_of(text: str) -> int:
    """About how many tokens a text is: four bytes each, and a few for the message around it.

    An estimate on purpose: counting exactly takes each provider's own tables, and a budget needs none.
    """
    return len(text.encode()) // 4 + 4


def cut(text: str, limit: int) -> str:
    """A text of at most about `limit` characters: its beginning and its end, with a notice between them."""
    if len(text) <= limit:
        return text
    head, tail = limit * 3 // 4, limit // 4
    left_out = len(text) - head - tail
    return f"{text[:head]}{NOTICE.format(left_out=left_out)}{text[len(text) - tail :]}"
