"""Writing to a WebSocket that the other side may leave at any moment: who reads learns of that."""

from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from channels.voice.playback import Send


def sending(websocket: WebSocket) -> Send:
    """Sends to who is there; what nobody takes any more is dropped."""

    async def send(message: dict[str, Any]) -> None:
        if websocket.application_state is WebSocketState.CONNECTED:
            with suppress(WebSocketDisconnect):
                await websocket.send_json(message)

    return send


async def closing(websocket: WebSocket, code: int) -> None:
    """Close what is still open; `code`: RFC 6455 §7.4.1."""
    states = (websocket.client_state, websocket.application_state)
    if states == (WebSocketState.CONNECTED, WebSocketState.CONNECTED):
        with suppress(WebSocketDisconnect):
            await websocket.close(code)
