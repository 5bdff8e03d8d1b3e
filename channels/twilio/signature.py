"""Twilio's request signature: making one, and proving one.

Base64 of HMAC-SHA1, keyed with the account's auth token, over the URL followed by every distinct
(name, value) pair of the form in code point order; a JSON body is covered by its SHA-256 in the URL's query
(`bodySHA256`) instead. Source: https://www.twilio.com/docs/usage/webhooks/webhooks-security

The verdict is that of `twilio.request_validator.RequestValidator` (the tests compare the two), with four
differences on purpose: the fragment is removed first, because Twilio keeps its connection overrides there and
does not sign them; hostile input is a "no", never an exception; an empty token proves nothing; and `wss` is
tried with its own default port as well.
"""

import hmac
from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from urllib.parse import parse_qs, urldefrag, urlparse


def sign(token: str, url: str, params: Sequence[tuple[str, str]]) -> str:
    """The `X-Twilio-Signature` of a request to `url`, less its fragment, with the form fields `params`.

    A WebSocket upgrade and a JSON body are signed with no params. Raises ValueError where `url` is not one or
    the text holds lone surrogates.
    """
    return _digest(token, urldefrag(url).url + _joined(params)).decode("ascii")


def verify(tokens: Sequence[str], url: str, params: Sequence[tuple[str, str]], signature: str) -> bool:
    """Whether one of `tokens` made `signature` for a request to `url` with the form fields `params`.

    `url` is the public one, as the provider knows it; `params` are all decoded fields, the blank ones too,
    and are empty for a WebSocket upgrade. Several tokens are given while one is rotated.
    """
    try:
        claimed = signature.encode("ascii")
        suffix = _joined(params)
        return any(
            hmac.compare_digest(_digest(token, candidate + suffix), claimed)
            for candidate in _candidates(url)
            for token in tokens
            if token
        )
    except ValueError:  # not a URL, lone surrogates, a signature that is not ASCII
        return False


def verify_body(tokens: Sequence[str], url: str, body: bytes, signature: str) -> bool:
    """Whether a request whose body is not a form was signed with one of `tokens`.

    The URL's `bodySHA256` (lower-case hex) must be the body's; only an empty body may come without it.
    """
    try:
        claimed = parse_qs(urlparse(urldefrag(url).url).query).get("bodySHA256")
        if claimed is None:
            intact = not body
        else:
            intact = hmac.compare_digest(sha256(body).hexdigest().encode(), claimed[0].encode())
    except ValueError:
        return False
    return verify(tokens, url, (), signature) and intact


def _joined(params: Sequence[tuple[str, str]]) -> str:
    return "".join([name + value for name, value in sorted(set(params))])


def _digest(token: str, text: str) -> bytes:
    return b64encode(hmac.digest(token.encode(), text.encode(), "sha1"))


@lru_cache(maxsize=32)
def _candidates(url: str) -> tuple[str, ...]:
    """The URL without and with a port: which of them Twilio's back end signs is not consistent.

    The netloc is cut as the official validator cuts it, so that both agree on every URL. Most requests are to
    one of a few URLs.
    """
    parsed = urlparse(urldefrag(url).url)
    if parsed.port:
        return parsed._replace(netloc=parsed.netloc.split(":")[0]).geturl(), parsed.geturl()
    ports = [443 if parsed.scheme == "https" else 80, *([443] if parsed.scheme == "wss" else [])]
    with_ports = [parsed._replace(netloc=f"{parsed.netloc}:{port}").geturl() for port in ports]
    return parsed.geturl(), *with_ports
