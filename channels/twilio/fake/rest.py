"""What every REST route of the fake Twilio shares: credentials, faults, form, paging, JSON answers."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Generic, TypeVar
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from channels.twilio.fake.errors import RestError, not_found, unauthenticated
from channels.twilio.fake.faults import Dice

MAX_FIELDS = 200
DEFAULT_PAGE = 50
MAX_PAGE = 1000

T = TypeVar("T")
Route = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets a REST request through, after its credentials were checked and the faults have had their way."""

    account_sid: str
    auth_token: str
    dice: Dice

    def guard(self, route: Route) -> Route:
        """The route behind this gate; a RestError it raises becomes the answer."""
        expected = "Basic " + b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                if request.headers.get("Authorization") != expected:
                    raise unauthenticated()
                if request.match_info["account"] != self.account_sid:
                    raise not_found(request.path)
                if await self._drops():
                    return drop(request)
                return await route(request)
            except RestError as error:
                return answer(error.body(), error.status)

        return guarded

    async def _drops(self) -> bool:
        dice, faults = self.dice, self.dice.faults
        if dice.hits(faults.delay_probability):
            await asyncio.sleep(faults.delay_seconds)
        if dice.hits(faults.drop_before):
            return True
        if dice.hits(faults.rate_429):
            raise RestError(20429, "Too Many Requests", 429)
        if dice.hits(faults.rate_5xx):
            if dice.hits(0.5):
                raise RestError(20500, "Internal Server Error", 500)
            raise RestError(20503, "Service Unavailable", 503)
        return False

    def created(self, request: web.Request, body: Mapping[str, object]) -> web.StreamResponse:
        """The answer to a create, unless a fault takes it away."""
        if self.dice.hits(self.dice.faults.drop_after_accept):
            return drop(request)
        return answer(body, 201)


def answer(body: Mapping[str, object], status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")


def drop(request: web.Request) -> web.Response:
    """Close the connection; the response returned here finds it closed and goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def form_of(request: web.Request) -> list[tuple[str, str]]:
    """The decoded form fields, blank and repeated ones too. Raises RestError where there are too many."""
    try:
        text = (await request.read()).decode("utf-8")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise RestError(20001, "The request body is not a valid form") from error


def api_date(seconds: float | None) -> str | None:
    """Seconds since the epoch in the API's date format (RFC 2822)."""
    return None if seconds is None else format_datetime(datetime.fromtimestamp(int(seconds), UTC))


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, with what the paging fields say."""

    records: Sequence[T]
    page: int
    size: int
    before: str | None
    """Token of the page before this one."""
    after: str | None
    """Token of the page after this one."""

    def fields(self, request: web.Request) -> dict[str, object]:
        """The paging fields of a list answer."""
        return {
            "end": self.page * self.size + max(len(self.records) - 1, 0),
            "first_page_uri": _page_uri(request, self.size, 0, None),
            "next_page_uri": self.after and _page_uri(request, self.size, self.page + 1, self.after),
            "page": self.page,
            "page_size": self.size,
            "previous_page_uri": self.before and _page_uri(request, self.size, self.page - 1, self.before),
            "start": self.page * self.size,
            "uri": request.path_qs,
        }


def page_of(request: web.Request, records: Sequence[T], sid: Callable[[T], str]) -> Page[T]:
    """The page of `records` (already in the order of the list) that the query asks for.

    Tokens name the record at the edge, so that a page stays the same while newer records arrive; the
    number in `Page` only counts along, as in the real API.
    """
    size = min(max(_number(request, "PageSize", DEFAULT_PAGE), 1), MAX_PAGE)
    number = _number(request, "Page", 0)
    token = request.query.get("PageToken", "")
    start = number * size
    if token:
        edge = next((index for index, one in enumerate(records) if sid(one) == token[2:]), len(records))
        start = edge + 1 if token.startswith("PA") else max(edge - size, 0)
    part = records[start : start + size]
    return Page(
        records=part,
        page=number,
        size=size,
        before=f"PB{sid(part[0])}" if part and start > 0 else None,
        after=f"PA{sid(part[-1])}" if part and start + size < len(records) else None,
    )


def _number(request: web.Request, name: str, default: int) -> int:
    try:
        return max(int(request.query.get(name, default)), 0)
    except ValueError as error:
        raise RestError(20001, f"{name} is not a number") from error


def _page_uri(request: web.Request, size: int, page: int, token: str | None) -> str:
    kept = [(k, v) for k, v in request.query.items() if k not in ("PageSize", "Page", "PageToken")]
    paging = [("PageSize", str(size)), ("Page", str(page))] + ([("PageToken", token)] if token else [])
    return f"{request.path}?{urlencode(kept + paging)}"
