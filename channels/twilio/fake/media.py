"""Files of inbound messages at the fake Twilio: behind its credentials, and a redirect to its storage."""

from dataclasses import dataclass

from aiohttp import web

from channels.twilio.fake.errors import not_found
from channels.twilio.fake.ledger import new_sid
from channels.twilio.fake.rest import Gate, answer, page_of

BASE = "/2010-04-01/Accounts/{account}/Messages/{message}/Media/{sid}"
LIST = "/2010-04-01/Accounts/{account}/Messages/{message}/Media.json"
STORAGE = "/media.twiliocdn.com/{sid}"


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file and how it is handed out."""

    content: bytes
    media_type: str
    location: str
    """Where the API sends on to."""
    message: str


class MediaResource:
    """Routes of files."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._files: dict[str, MediaFile] = {}

    def routes(self) -> list[web.RouteDef]:
        """What to mount."""
        guard = self._gate.guard
        return [
            web.get(LIST, guard(self._list)),
            web.get(BASE, guard(self._find)),
            web.get(STORAGE, self._read),
        ]

    def keep(self, content: bytes, media_type: str, location: str = "", message: str = "") -> str:
        """Keep a file of a message; its path. `location`: where the API sends on to, not its own storage."""
        sid, message = new_sid("ME"), message or new_sid("MM")
        self._files[sid] = MediaFile(content, media_type, location or STORAGE.format(sid=sid), message)
        return BASE.format(account=self._gate.account_sid, message=message, sid=sid)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        message = request.match_info["message"]
        files = [(sid, file) for sid, file in self._files.items() if file.message == message]
        page = page_of(request, files, lambda one: one[0])
        return answer(page.fields(request) | {"media_list": [self._json(*one) for one in page.records]})

    def _json(self, sid: str, file: MediaFile) -> dict[str, object]:
        account = self._gate.account_sid
        return {
            "account_sid": account,
            "content_type": file.media_type,
            "date_created": None,
            "date_updated": None,
            "parent_sid": file.message,
            "sid": sid,
            "uri": BASE.format(account=account, message=file.message, sid=sid) + ".json",
        }

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
