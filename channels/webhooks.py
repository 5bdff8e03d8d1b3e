"""What all provider webhooks share: reading a bounded request, refusing it, finding the URL that was signed.

Bare Starlette on purpose: a webhook needs nothing of FastAPI and pays a third less CPU without it.
"""

import hmac
import logging
from base64 import b64encode
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import unquote

from prometheus_client import Counter
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response

from channels.contract import MAX_BODY, MAX_FIELDS
from gateway.domain.errors import ErrorCode, GatewayError

log = logging.getLogger(__name__)

FORM_TYPE: Final = "application/x-www-form-urlencoded"
RETRY_AFTER_SECONDS: Final = 2
"""What a provider is told when we are unavailable; most have a schedule of their own."""

REFUSED = Counter(
    "gateway_webhooks_refused",
    "Webhook requests refused because their sender was not proven.",
    ["provider", "reason"],
)

FormFields = tuple[tuple[str, str], ...]
Endpoint = Callable[[Request], Awaitable[Response]]


class WebhookRefused(Exception):
    """A request that is answered with an error: its status, its code of the closed set and one sentence."""

    def __init__(self, status: int, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def malformed(message: str) -> WebhookRefused:
    """400: the request cannot be read."""
    return WebhookRefused(400, ErrorCode.VALIDATION_ERROR, message)


def invalid(message: str) -> WebhookRefused:
    """422: the request can be read, but lacks what we need."""
    return WebhookRefused(422, ErrorCode.VALIDATION_ERROR, message)


def unproven(provider: str, reason: str, status: int = 403) -> WebhookRefused:
    """403, or 401, without a hint: the reason, one of a few fixed words, goes to log and metric only."""
    REFUSED.labels(provider, reason).inc()
    log.warning(
        "webhook refused", extra={"action": "webhook.refused", "provider": provider, "reason": reason}
    )
    code = ErrorCode.UNAUTHORIZED if status == 401 else ErrorCode.FORBIDDEN
    return WebhookRefused(status, code, "This request is not accepted.")


class Login:
    """The login in the URL that a provider calls; it shows it in the request's head (Basic, RFC 7617)."""

    def __init__(self, login: str) -> None:
        """`login`: `user:password`."""
        self._expected = b"Basic " + b64encode(login.encode())

    def shown_in(self, request: HTTPConnection) -> bool:
        """Whether a request, or the upgrade to a WebSocket, has it."""
        given = request.headers.get("authorization", "").encode("latin-1", "replace")
        return hmac.compare_digest(given, self._expected)

    def refusal(self, request: HTTPConnection, provider: str, wrong: int = 403) -> WebhookRefused | None:
        """None where it is shown, else the refusal, counted. `wrong`: the status for another login."""
        if self.shown_in(request):
            return None
        if request.headers.get("authorization"):
            return unproven(provider, "login", wrong)
        return unproven(provider, "no_login")


def announced_length(request: Request) -> int | None:
    """Bytes of the body as its sender says; None where it does not. WebhookRefused (400) for no number."""
    announced = request.headers.get("content-length")
    if announced is None:
        return None
    if not announced.isdecimal():
        raise malformed("The Content-Length is not a number.")
    return int(announced)


async def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """The body, at most `limit` bytes; raises WebhookRefused with 413, or 400 where the sender went away."""
    if (announced_length(request) or 0) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise malformed("The request ended before its body was complete.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
        more = message.get("more_body", False)
    return b"".join(chunks)


async def read_form(request: Request, limit: int = MAX_BODY) -> FormFields:
    """The fields of a form in order, blank ones and repeated names too.

    Raises WebhookRefused: 413 for a large body; 400 for another content type, more than MAX_FIELDS fields
    and text that is not UTF-8. A `%` without two hex digits stands for itself (WHATWG URL §5.1).
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != FORM_TYPE:
        raise malformed(f"The Content-Type must be {FORM_TYPE}.")
    body = await read_body(request, limit)
    if body.count(b"&") >= MAX_FIELDS:
        raise malformed(f"A form has at most {MAX_FIELDS} fields.")
    try:
        return form_fields(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise malformed("The form is not UTF-8.") from None


def form_fields(form: str) -> FormFields:
    """The fields of a form, as `urllib.parse.parse_qsl` reads them with the blank ones, in half the time.

    Raises UnicodeDecodeError where what is escaped is not UTF-8.
    """
    pairs = [pair.partition("=") for pair in form.replace("+", " ").split("&") if pair]
    return tuple([(_unescaped(name), _unescaped(value)) for name, _, value in pairs])


def _unescaped(text: str) -> str:
    return unquote(text, errors="strict") if "%" in text else text


def signed_url(public_url: str, request: Request) -> str:
    """The URL as the provider called it: our public one with the raw path and query of this request."""
    path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query: bytes = request.scope["query_string"]
    return f"{public_url}{path.decode('latin-1')}{'?' if query else ''}{query.decode('latin-1')}"


def webhook(endpoint: Endpoint) -> Endpoint:
    """An endpoint whose refusals are answered in the error form of the HTTP API.

    `Unavailable` becomes 503 with Retry-After, so that the provider delivers the request again.
    """

    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except WebhookRefused as refused:
            return _error(refused.status, refused.code, refused.message)
        except GatewayError as error:
            return _error(error.status, error.code, error.message)

    return answered


def _too_large(limit: int) -> WebhookRefused:
    return WebhookRefused(413, ErrorCode.PAYLOAD_TOO_LARGE, f"The body is larger than {limit} bytes.")


def _error(status: int, code: ErrorCode, message: str) -> Response:
    # No "Connection: close" on a 413: the reset would reach the sender before the answer. The server
    # discards what is still coming.
    headers = {"retry-after": str(RETRY_AFTER_SECONDS)} if status == 503 else None
    return JSONResponse({"error": code.value, "message": message}, status, headers)
