"""The connection of one call of the fake jambonz: requests that are acknowledged, reports, commands."""

import asyncio
import json
import secrets
from base64 import b64encode
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
CONNECTIONS = 5
"""Of one call, at most; jambonz counts those that were lost, too."""


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
        self.given_up = False
        """There will be no further connection of this call."""
        self.idle = False
        """There is none, and jambonz makes one only when it has something to say."""
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
        self._connections = 0
        """Those that were lost."""

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
            await self._connected()
        if self.given_up:
            raise Abandoned
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
        await self._connected()
        await self._send(kind, secrets.token_hex(11), data, None)

    def give_up(self) -> None:
        """There is no further connection; what is to be said is dropped."""
        self.given_up = True
        self._ready.set()

    async def redirected(self, hook: str | dict[str, str], data: dict[str, Any]) -> Verbs:
        """Ask a hook, or a webhook, which has the call from then on. Raises Abandoned without an answer."""
        if isinstance(hook, str):
            return await self.request("session:redirect", data, hook)
        self.give_up()
        login = b64encode(f"{hook['username']}:{hook['password']}".encode()).decode()
        headers = {"Authorization": f"Basic {login}"}
        try:
            async with aiohttp.request("POST", hook["url"], json=data, headers=headers) as answer:
                return list(await answer.json()) if answer.ok else []
        except aiohttp.ClientError:
            raise Abandoned from None

    async def _connected(self) -> None:
        if self.idle:
            self.idle = False
            await self._again()
        await self._ready.wait()

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

    async def drop(self, *, idle: bool = False) -> None:
        """The connection breaks, and is made again as jambonz does it.

        `idle`: its first try is refused, and there is another when it has something to say.
        """
        self.idle = idle
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
        if self._socket is not None and not self.given_up:
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
            self._connections += 1
            if self._connections >= CONNECTIONS or self.given_up:
                self.give_up()
            elif not self.idle:
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
            if self._gone or self.given_up:
                return
            with suppress(aiohttp.ClientError, OSError, Abandoned):
                await self._connect()
                await self.request("session:reconnect", self._opening)
                self.reconnected += 1
                return
