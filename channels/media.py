"""Fetches a file that a provider has kept of a message: from where it keeps them, and only what is taken.

Each hop of a redirect is judged anew: its host by the provider's list, its address where the socket is made,
so that a name which leads elsewhere the next time gets no further. Credentials go to the API alone.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import aiohttp

from gateway.domain.attachment import UNKNOWN_TYPE, media_type_of, safe_name
from gateway.domain.ports.files import Fetched, NotFetched
from gateway.domain.public_address import is_public

TIMEOUT_SECONDS = 20.0
"""For one file with all its redirects' hops, each."""
MAX_REDIRECTS = 3
MAX_URL = 4096
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FOR_EVER = frozenset({400, 405, 410})
_TAKEN = frozenset(
    {
        "application/pdf", "application/ogg", "application/vcard",
        "text/plain", "text/vcard", "text/x-vcard", "text/directory", "text/calendar", "text/csv",
    }
)  # fmt: skip
_TAKEN_KINDS = ("image/", "audio/", "video/")
_NOT_TAKEN = frozenset({"image/svg+xml"})
"""It may hold a script."""


class _AddressRefusedError(OSError):
    """The name leads to an address that is not public."""


def _public_socket(info: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise _AddressRefusedError("the address is not public")
    return socket.socket(family, kind, protocol)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPlaces:
    """Where a provider keeps files."""

    origin: str | None = None
    """Its API, scheme and host; that may be on a private network where it is not `public`."""
    authorization: str | None = field(default=None, repr=False)
    """The header for requests to `origin`, and to nothing else."""
    public: bool = True
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Other hosts, over https, with what the path begins with there."""
    domains: tuple[str, ...] = ()
    """Domains whose hosts will do, over https."""

    def is_origin(self, url: SplitResult) -> bool:
        """Whether this is the provider's API."""
        return self.origin is not None and f"{url.scheme}://{url.netloc}" == self.origin

    def allows(self, url: SplitResult) -> bool:
        """Whether a file may be fetched there."""
        if self.is_origin(url):
            return True
        host = url.hostname or ""
        if url.scheme != "https" or url.port not in (None, 443) or url.username is not None:
            return False
        if host in self.hosts:
            return url.path.startswith(self.hosts[host])
        return any(host.endswith(f".{domain}") for domain in self.domains)


class MediaClient:
    """The `FetchMedia` port of one provider. Close it when done."""

    def __init__(self, places: MediaPlaces) -> None:
        self._places = places
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def __call__(self, url: str, media_type: str, max_bytes: int) -> Fetched | NotFetched:
        """Fetch a file; `media_type` is what the provider said of it, for an answer that does not say."""
        try:
            for _ in range(MAX_REDIRECTS + 1):
                answer = await self._hop(url, media_type, max_bytes)
                if not isinstance(answer, str):
                    return answer
                url = urljoin(url, answer)
        except _AddressRefusedError:
            return NotFetched("address_refused", again=False)
        except aiohttp.ClientConnectorError as error:
            refused = isinstance(error.os_error, _AddressRefusedError)
            return NotFetched("address_refused" if refused else "no_connection", again=not refused)
        except TimeoutError:
            return NotFetched("timeout", again=True)
        except aiohttp.InvalidURL:
            return NotFetched("not_a_url", again=False)
        except (aiohttp.ClientError, OSError):
            return NotFetched("no_answer", again=True)
        except ValueError:
            return NotFetched("not_a_url", again=False)
        return NotFetched("too_many_redirects", again=False)

    async def close(self) -> None:
        """Close the connections."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def _hop(self, url: str, media_type: str, max_bytes: int) -> Fetched | NotFetched | str:
        """One request; where it leads on, if it does."""
        split = urlsplit(url)
        if len(url) > MAX_URL or not self._places.allows(split):
            return NotFetched("host_not_allowed", again=False)
        own = self._places.is_origin(split)
        headers = {"Accept-Encoding": "identity"}
        if own and self._places.authorization is not None:
            headers["Authorization"] = self._places.authorization
        async with self._session(checked=not own or self._places.public).get(
            url, headers=headers, allow_redirects=False
        ) as response:
            if response.status in _REDIRECTS:
                return response.headers.get("Location", "")
            if response.status != 200:
                return NotFetched(f"http_{response.status}", again=response.status not in _FOR_EVER)
            return await _read(response, media_type, max_bytes)

    def _session(self, *, checked: bool) -> aiohttp.ClientSession:
        if checked not in self._sessions:
            self._sessions[checked] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=16, socket_factory=_public_socket if checked else None),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._sessions[checked]


async def _read(response: aiohttp.ClientResponse, said: str, max_bytes: int) -> Fetched | NotFetched:
    media_type = media_type_of(response.headers.get("Content-Type"))
    if media_type == UNKNOWN_TYPE:
        media_type = said
    if media_type in _NOT_TAKEN or not (media_type in _TAKEN or media_type.startswith(_TAKEN_KINDS)):
        return NotFetched("type_not_taken", again=False)
    if (response.content_length or 0) > max_bytes:
        response.close()
        return NotFetched("too_large", again=False)
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > max_bytes:
            response.close()
            return NotFetched("too_large", again=False)
    disposition = response.content_disposition
    return Fetched(bytes(content), media_type, safe_name(disposition.filename) if disposition else None)
