"""Entity tags: what a client has seen already is not sent again (RFC 9110, 8.8.3 and 13.1.2)."""

from hashlib import blake2b


def etag(*state: object) -> str:
    """The tag of an answer that follows from `state` alone."""
    digest = blake2b("\0".join(map(str, state)).encode(), digest_size=12)
    return f'"{digest.hexdigest()}"'


def seen(if_none_match: str | None, tag: str) -> bool:
    """Whether the header names this tag, weakly compared."""
    if if_none_match is None:
        return False
    named = [item.strip().removeprefix("W/") for item in if_none_match.split(",")]
    return tag in named or named == ["*"]
