"""Files of inbound messages at the fake Twilio: behind its credentials, and a redirect to its storage."""

from dataclasses import dataclass

from aiohttp import web

from channels.twilio.fake.errors import not_found
from channels.twilio.fake.ledger import new_sid
from channels.twilio.fake.rest import Gate

BASE = "/2010-04-01/Accounts/{account}/Messages/{message}/Media/{sid}"
STORAGE = "/media.twiliocdn.com/{sid}"


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file and how it is handed out."""

    content: bytes
    media_type: str
    location: str
    """Where the API sends on to."""


class MediaResource:
    """Routes of files."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._files: dict[str, MediaFile] = {}

    def routes(self) -> list[web.RouteDef]:
        """What to mount."""
        return [web.get(BASE, self._gate.guard(self._find)), web.get(STORAGE, self._read)]

    def keep(self, content: bytes, media_type: str, location: str = "") -> str:
        """Keep a file; its path. `location`: where the API sends on to instead of to its own storage."""
        sid = new_sid("ME")
        self._files[sid] = MediaFile(content, media_type, location or STORAGE.format(sid=sid))
        return BASE.format(account=self._gate.account_sid, message=new_sid("MM"), sid=sid)

    async def _find(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": self._file(request).location})

    async def _read(self, request: web.Request) -> web.StreamResponse:
        file = self._file(request)
        return web.Response(body=file.content, headers={"Content-Type": file.media_type})

    def _file(self, request: web.Request) -> MediaFile:
        found = self._files.get(request.match_info["sid"])
        if found is None:
            raise not_found(request.path)
        return found
