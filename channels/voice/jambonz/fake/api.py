"""The REST API of the fake jambonz: calls are asked for, listed, looked at, changed. It can misbehave."""

import asyncio
from collections import deque
from enum import StrEnum
from typing import Any

from aiohttp import web

from channels.voice.jambonz.fake.call import FakeJambonzCall
from channels.voice.jambonz.fake.outgoing import FakeOutgoingCall
from channels.voice.jambonz.fake.server import FakeJambonz

_LISTED = ("call_sid", "call_status", "direction", "from", "to")
"""Tags are not listed (update-call-status.js)."""
_CALLS = "/v1/Accounts/{account}/Calls"


class Fault(StrEnum):
    """How the next request for a call goes wrong."""

    REFUSED = "refused"
    """401."""
    NO_SERVER = "no_server"
    """480: it was not made."""
    LOST = "lost"
    """It is made, and the answer is lost."""
    LOST_UNMADE = "lost_unmade"
    """The same, and it is not made."""


class FakeJambonzApi:
    """The API in front of one fake jambonz."""

    def __init__(self, jambonz: FakeJambonz, account_sid: str, application_sid: str, api_key: str) -> None:
        self.faults: deque[Fault] = deque()
        """Of the next requests for a call."""
        self.asked: list[dict[str, Any]] = []
        """Every request for a call, in order."""
        self.changed: list[dict[str, Any]] = []
        """Every change of a call that was asked for."""
        self.url = ""
        """Once it is served."""
        self._jambonz = jambonz
        self._account_sid = account_sid
        self._application_sid = application_sid
        self._authorization = f"Bearer {api_key}"
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """Serve on loopback; the URL."""
        app = web.Application()
        app.router.add_post(_CALLS, self._create)
        app.router.add_get(_CALLS, self._list)
        app.router.add_get(_CALLS + "/{call}", self._show)
        app.router.add_put(_CALLS + "/{call}", self._change)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self.url

    async def stop(self) -> None:
        """Serve no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _proven(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != self._authorization:
            raise web.HTTPUnauthorized
        if request.match_info["account"] != self._account_sid:
            raise web.HTTPForbidden

    async def _create(self, request: web.Request) -> web.StreamResponse:
        self._proven(request)
        asked = await request.json()
        self.asked.append(asked)
        fault = self.faults.popleft() if self.faults else None
        if fault is Fault.REFUSED:
            raise web.HTTPUnauthorized
        if fault is Fault.NO_SERVER:
            return web.json_response({"msg": "no available feature servers"}, status=480)
        if asked.get("application_sid") != self._application_sid or asked["to"]["type"] != "phone":
            return web.json_response({"msg": "application_sid not found"}, status=400)
        call = None if fault is Fault.LOST_UNMADE else await self._jambonz.dial(asked)
        if fault in (Fault.LOST, Fault.LOST_UNMADE) or call is None:
            if request.transport is not None:
                request.transport.close()
            await asyncio.sleep(0)
            return web.Response(status=500)
        return web.json_response({"sid": call.call_sid}, status=201)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self._proven(request)
        wanted = {name: request.query[name] for name in ("direction", "from", "to") if name in request.query}
        shown = [one for call in self._jambonz.calls for one in (self._shown(call), *_dialled(call))]
        return web.json_response([one for one in shown if wanted.items() <= one.items()])

    async def _show(self, request: web.Request) -> web.StreamResponse:
        self._proven(request)
        return web.json_response(self._shown(self._call(request)))

    async def _change(self, request: web.Request) -> web.StreamResponse:
        self._proven(request)
        call, change = self._call(request), await request.json()
        self.changed.append(change)
        match change:
            case {"call_status": "completed"} if call.status == "in-progress":
                await call.hang_up()
            case {"call_status": "no-answer"} if isinstance(call, FakeOutgoingCall) and call.status in (
                "trying",
                "ringing",
            ):
                await call.refuse("no-answer")
            case {"call_hook": (str() | dict()) as hook}:
                call.spawn(call.redirect(hook))
            case {"call_status": "completed" | "no-answer"}:
                pass  # taken, and nothing comes of it
            case _:
                return web.json_response({"msg": "no valid options supplied to updateCall"}, status=400)
        return web.Response(status=202)

    def _call(self, request: web.Request) -> FakeJambonzCall:
        for call in self._jambonz.calls:
            if call.call_sid == request.match_info["call"]:
                return call
        raise web.HTTPNotFound

    def _shown(self, call: FakeJambonzCall) -> dict[str, Any]:
        shown = {name: value for name, value in call.info.items() if name in _LISTED}
        return shown | {"application_sid": self._application_sid}


def _dialled(call: FakeJambonzCall) -> list[dict[str, Any]]:
    """Whom it has called for its caller."""
    return [
        {
            "call_sid": callee.call_sid,
            "parent_call_sid": call.call_sid,
            "call_status": callee.status,
            "direction": "outbound",
            "from": call.info["from"],
            "to": callee.destination,
        }
        for callee in call.callees
    ]
