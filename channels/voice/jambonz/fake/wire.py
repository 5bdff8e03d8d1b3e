"""The connection of one call of the fake jambonz: requests that are acknowledged, reports, commands."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohttp

from channels.voice.jambonz.messages import ACK_SECONDS, SUBPROTOCOL

Verbs = list[dict[str, Any]]
Obey = Callable[[dict[str, Any]], Awaitable[None]]
"""What a command of the gateway's has the call do."""
RECONNECT_SECONDS = 0.05
RECONNECTS = 2_400


class Abandoned(Exception):
    """The connection broke before a message was acknowledged; it is not sent again (ws-requestor.js)."""


class Wire:
    """What is sent and comes back."""

    def __init__(self, url: str, authorization: str, call_sid: str, obey: Obey) -> None:
        self.received: list[dict[str, Any]] = []
        """Every message of the gateway's, in order."""
        self.late: list[str] = []
        """Types of messages that were not acknowledged in time."""
        self.reconnected = 0
        """How often a connection that broke was made again."""
        self._url = url
        self._headers = {"Authorization": authorization}
        self._call_sid = call_sid
        self._obey = obey
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reading: asyncio.Task[None] | None = None
        self._acks: dict[str, asyncio.Future[Verbs]] = {}
        self._ready = asyncio.Event()
        """Cleared, what is to be sent waits until the connection is back, and that is acknowledged."""
        self._opening: dict[str, Any] = {}
        """What a connection that is back is opened with: nothing for a call that has not been answered."""
        self._gone = False

    async def open(self, data: dict[str, Any]) -> Verbs:
        """Connect and announce the call; its first verbs. Raises aiohttp.ClientError where it is refused."""
        await self.connect()
        return await self.request("session:new", data)

    async def connect(self) -> None:
        """Only connect, as for a call that rings elsewhere."""
        self._http = aiohttp.ClientSession()
        try:
            await self._connect()
        except aiohttp.ClientError:
            await self._http.close()
            raise
        self._ready.set()

    async def request(self, kind: str, data: dict[str, Any], hook: str | None = None) -> Verbs:
        """A message that has to be acknowledged; the verbs that come with that. Raises Abandoned."""
        opens = kind in ("session:new", "session:reconnect")
        if kind == "session:new":
            self._opening = data
        if not opens:
            await self._ready.wait()
        msgid = secrets.token_hex(11)
        answer: asyncio.Future[Verbs] = asyncio.get_running_loop().create_future()
        self._acks[msgid] = answer
        await self._send(kind, msgid, data, hook)
        try:
            async with asyncio.timeout(ACK_SECONDS):
                verbs = await answer
            if opens:
                self._ready.set()
            return verbs
        except TimeoutError:
            self.late.append(kind)
            return []
        finally:
            self._acks.pop(msgid, None)

    async def report(self, kind: str, data: dict[str, Any]) -> None:
        """A message that nobody acknowledges."""
        await self._ready.wait()
        await self._send(kind, secrets.token_hex(11), data, None)

    async def close(self) -> None:
        """The call is over."""
        self._gone = True
        self._ready.set()
        if self._socket is not None:
            await self._socket.close(code=aiohttp.WSCloseCode.OK)
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()
            await asyncio.wait({self._reading})
        if self._http is not None:
            await self._http.close()

    @property
    def closed(self) -> bool:
        """Whether nothing of it is open."""
        return self._http is None or self._http.closed

    async def drop(self) -> None:
        """The connection breaks, and is made again as jambonz does it."""
        if self._socket is not None:
            await self._socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)

    async def _connect(self) -> None:
        if self._http is None:
            raise RuntimeError("the call was not opened")
        self._socket = await self._http.ws_connect(self._url, protocols=(SUBPROTOCOL,), headers=self._headers)
        self._reading = asyncio.create_task(self._read(self._socket))

    async def _send(self, kind: str, msgid: str, data: dict[str, Any], hook: str | None) -> None:
        message = {"type": kind, "msgid": msgid, "call_sid": self._call_sid, "data": data}
        if hook is not None:
            message["hook"] = hook
        if self._socket is not None:
            with suppress(ConnectionError):
                await self._socket.send_str(json.dumps(message))

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await self._take(json.loads(message.data))
        if not self._gone and socket.close_code != aiohttp.WSCloseCode.OK:
            self._ready.clear()
            for answer in self._acks.values():
                if not answer.done():
                    answer.set_exception(Abandoned())
            asyncio.get_running_loop().create_task(self._again()).add_done_callback(lambda _: None)

    async def _take(self, message: dict[str, Any]) -> None:
        self.received.append(message)
        if message.get("type") == "ack":
            answer = self._acks.get(str(message.get("msgid")))
            if answer is not None and not answer.done():
                answer.set_result(message.get("data") or [])
        else:
            await self._obey(message)

    async def _again(self) -> None:
        for _ in range(RECONNECTS):
            await asyncio.sleep(RECONNECT_SECONDS)
            if self._gone:
                return
            with suppress(aiohttp.ClientError, OSError, Abandoned):
                await self._connect()
                await self.request("session:reconnect", self._opening)
                self.reconnected += 1
                return
