"""The WebSocket of ConversationRelay: who may open it, and the loop over its frames."""

import asyncio
import logging

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from channels.contract import Ingress
from channels.twilio.credentials import TwilioCredentials
from channels.twilio.requests import PROVIDER
from channels.twilio.signature import verify
from channels.voice.relay.call import RelaySession
from channels.voice.relay.frames import Setup, end, line, read_frame
from channels.voice.sockets import closing, sending
from channels.voice.steps import RELAY_PATH
from channels.webhooks import unproven
from gateway.domain.errors import GatewayError

log = logging.getLogger(__name__)

SETUP_SECONDS = 10.0
"""For the first frame."""
_POLICY, _NORMAL, _AGAIN = 1008, 1000, 1013
"""RFC 6455 §7.4.1, and the registry of close codes."""


def relay_routes(ingress: Ingress, twilio: TwilioCredentials) -> list[WebSocketRoute]:
    """The WebSocket at /webhooks/twilio/relay, to be mounted on the public surface."""
    return [WebSocketRoute(RELAY_PATH, _Door(ingress, twilio).open)]


class _Door:
    """Lets in what Twilio has signed for our account."""

    def __init__(self, ingress: Ingress, twilio: TwilioCredentials) -> None:
        self._ingress = ingress
        self._twilio = twilio

    async def open(self, websocket: WebSocket) -> None:
        """One session, from its upgrade to its end."""
        if not self._signed(websocket):
            await websocket.close(_POLICY)
            return
        await websocket.accept()
        try:
            setup = await self._setup(websocket)
            if setup is None:
                await websocket.close(_POLICY)
                return
            await self._serve(websocket, setup)
        except WebSocketDisconnect:
            return

    def _signed(self, websocket: WebSocket) -> bool:
        """Twilio signs the URL it was given, without parameters of a form."""
        signature = websocket.headers.get("x-twilio-signature", "")
        query = websocket.scope["query_string"].decode("latin-1")
        url = f"ws{self._ingress.public_url.removeprefix('http')}{RELAY_PATH}{'?' if query else ''}{query}"
        if signature and verify(self._twilio.auth_tokens, url, (), signature):
            return True
        unproven(PROVIDER, "bad_signature" if signature else "no_signature")
        return False

    async def _setup(self, websocket: WebSocket) -> Setup | None:
        try:
            async with asyncio.timeout(SETUP_SECONDS):
                frame = read_frame(await _text(websocket))
        except TimeoutError:
            return None
        if not isinstance(frame, Setup):
            return None
        if self._twilio.account_sid and frame.account_sid not in ("", self._twilio.account_sid):
            unproven(PROVIDER, "other_account")
            return None
        return frame

    async def _serve(self, websocket: WebSocket, setup: Setup) -> None:
        session = RelaySession(self._ingress, setup, sending(websocket))
        try:
            await session.begin("relay")
        except GatewayError as error:
            await _excuse(websocket, session.apology, error)
            return
        try:
            await _take_all(websocket, session)
        finally:
            await session.close()
        await closing(websocket, _NORMAL)


async def _excuse(websocket: WebSocket, apology: str, error: GatewayError) -> None:
    """The call cannot be taken now; what becomes of it is asked of the action."""
    extra = {"action": "voice.relay_refused", "code": error.code.value}
    log.warning("a relay session was refused", extra=extra)
    await websocket.send_json(line(apology))
    await websocket.send_json(end())
    await websocket.close(_AGAIN)


async def _take_all(websocket: WebSocket, session: RelaySession) -> None:
    """Frame after frame, and what is due between them, until the session is over."""
    while not session.over:
        try:
            async with asyncio.timeout(session.patience):
                text = await _text(websocket)
        except TimeoutError:
            await session.tend()
            continue
        except WebSocketDisconnect:
            return
        frame = read_frame(text)
        if frame is not None and not isinstance(frame, Setup):
            await session.take(frame)


async def _text(websocket: WebSocket) -> str:
    """The next message; one of bytes is nothing we know. Raises WebSocketDisconnect."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code") or _NORMAL)
    return message.get("text") or ""
