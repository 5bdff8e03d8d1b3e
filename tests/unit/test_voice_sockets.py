"""Writing to a WebSocket that the other side has left."""

from typing import Any

import pytest
from starlette.types import Message
from starlette.websockets import WebSocket

from channels.voice.sockets import closing, sending


class Other:
    """The other side: it is there, or gone."""

    def __init__(self) -> None:
        self.gone = False
        self.got: list[Message] = []

    async def accepted(self) -> WebSocket:
        """A connection to it."""
        websocket = WebSocket({"type": "websocket", "headers": [], "path": "/"}, self._receive, self._send)
        await websocket.accept()
        return websocket

    async def _receive(self) -> Message:
        return {"type": "websocket.disconnect", "code": 1006} if self.gone else {"type": "websocket.connect"}

    async def _send(self, message: Any) -> None:
        if self.gone:
            raise OSError("nobody is there")
        self.got.append(message)


@pytest.mark.parametrize("known", [False, True])
async def test_what_nobody_takes_any_more_is_dropped(known: bool) -> None:
    other = Other()
    websocket = await other.accepted()
    send = sending(websocket)
    await send({"n": 1})
    other.gone = True
    if known:
        await websocket.receive()
    await send({"n": 2})
    await send({"n": 3})
    await closing(websocket, 1000)
    assert [message.get("text") for message in other.got] == [None, '{"n":1}']


async def test_what_is_open_is_closed_once() -> None:
    other = Other()
    websocket = await other.accepted()
    await closing(websocket, 1011)
    await closing(websocket, 1000)
    await sending(websocket)({"n": 1})
    assert [message.get("code") for message in other.got] == [None, 1011]
