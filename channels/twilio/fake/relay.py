"""ConversationRelay at the fake Twilio: a session's WebSocket, what is spoken there and what the caller does.

Speech takes no time: a text counts as spoken when its last token has come. Source:
https://www.twilio.com/docs/voice/conversationrelay/websocket-messages
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohttp

from channels.twilio.fake.callstate import CallParties
from channels.twilio.fake.ledger import new_sid

Ended = Callable[[list[tuple[str, str]]], Awaitable[None]]
"""What follows: the fields with which the action of the `<Connect>` is called."""


class RelayLine:
    """One session."""

    def __init__(self, say: Callable[[str], None], came: Callable[[], None], ended: Ended) -> None:
        """`say` is called with each text, `came` after each frame."""
        self.session_sid = new_sid("VX")
        self.frames: list[dict[str, Any]] = []
        """What came, in order."""
        self.partial = ""
        """What has come of a text that is not complete."""
        self._say = say
        self._came = came
        self._ended = ended
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def open(self) -> bool:
        """Whether frames can be sent."""
        return self._socket is not None and not self._socket.closed

    async def start(
        self, url: str, signature: str, account_sid: str, call_sid: str, parties: CallParties
    ) -> None:
        """Open the WebSocket; one that is refused is a session that broke off."""
        setup = {"callSid": call_sid, "accountSid": account_sid, "callType": "PSTN"}
        setup |= {"from": parties.from_, "to": parties.to, "direction": parties.direction}
        self._session = aiohttp.ClientSession()
        try:
            self._socket = await self._session.ws_connect(url, headers={"X-Twilio-Signature": signature})
            await self.send({"type": "setup", "sessionId": self.session_sid, **setup})
        except aiohttp.ClientError:
            self._reading = asyncio.create_task(self._over(None, ended=False))
            return
        self._reading = asyncio.create_task(self._read(self._socket))

    async def say(self, text: str) -> None:
        """The caller speaks."""
        await self.send({"type": "prompt", "voicePrompt": text, "lang": "en-US", "last": True})

    async def press(self, digits: str) -> None:
        """The caller presses keys."""
        for digit in digits:
            await self.send({"type": "dtmf", "digit": digit})

    async def interrupt(self, heard: str, milliseconds: int = 0) -> None:
        """The caller speaks over what is said, having heard this of it."""
        self.partial = ""
        spoken = {"utteranceUntilInterrupt": heard, "durationUntilInterruptMs": str(milliseconds)}
        await self.send({"type": "interrupt", **spoken})

    async def send(self, frame: dict[str, Any]) -> None:
        """One frame to the other side; lost where that has gone."""
        if self._socket is not None:
            with suppress(ConnectionError):
                await self._socket.send_str(json.dumps(frame))

    async def close(self) -> None:
        """The caller is gone: nothing follows."""
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()
            await asyncio.wait({self._reading})
        await self._let_go()

    async def drop(self) -> None:
        """The connection breaks."""
        if self._socket is not None:
            await self._socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            frame = json.loads(message.data)
            self.frames.append(frame)
            if frame.get("type") == "end":
                await self._over(frame.get("handoffData"), ended=True)
                return
            if frame.get("type") == "text":
                self._spoken(frame)
            self._came()
        await self._over(None, ended=False)

    def _spoken(self, frame: dict[str, Any]) -> None:
        self.partial += str(frame.get("token", ""))
        if frame.get("last"):
            text, self.partial = self.partial, ""
            self._say(text)

    async def _over(self, handoff: str | None, *, ended: bool) -> None:
        await self._let_go()
        fields = [("SessionId", self.session_sid), ("SessionStatus", "ended" if ended else "failed")]
        fields += [("HandoffData", handoff)] if handoff is not None else []
        await self._ended(fields if ended else [*fields, ("ErrorCode", "64105")])

    async def _let_go(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._session is not None:
            await self._session.close()
