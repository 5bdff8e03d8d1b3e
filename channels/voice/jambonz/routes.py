"""The WebSocket and the status webhook of jambonz: who may open it, and the messages one after another.

jambonz proves itself with the login that its application has for us (HTTP Basic, RFC 7617), on the upgrade
of the WebSocket as on a webhook. It waits 5 s for the acknowledgement of a message, so that is sent by who
reads, before anything else is done about it.
"""

import asyncio
import logging
import re
from contextlib import suppress
from functools import partial

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from channels.contract import Ingress
from channels.voice.jambonz.address import PROVIDER, parties_of
from channels.voice.jambonz.call import JambonzSession, LetGo
from channels.voice.jambonz.lost import JOINED, LOST_PATH, LostCall, LostCalls
from channels.voice.jambonz.messages import (
    SUBPROTOCOL,
    Back,
    CallStatus,
    Incoming,
    Opened,
    ack,
    read_message,
    redirect,
)
from channels.voice.jambonz.outgoing import Outgoing
from channels.voice.jambonz.owed import Owed
from channels.voice.jambonz.verbs import Hangup, Say, SipDecline, Verb, array, said
from channels.voice.notes import note
from channels.voice.playback import Send
from channels.voice.sockets import closing, sending
from channels.webhooks import Login, malformed, read_body, unproven, webhook
from gateway.domain.errors import GatewayError, Unavailable, UnknownAddress
from gateway.domain.ids import new_id

log = logging.getLogger(__name__)

PATH = "/webhooks/jambonz"
STATUS_PATH = f"{PATH}/status"
OPEN_SECONDS = 10.0
"""For the first message."""
RING_SECONDS = 600.0
"""For the rest, while a call of ours rings: longer than any may."""
BEGIN_SECONDS = 4.0
"""For storing that a call is here: jambonz waits five."""
AGAIN_SECONDS = 0.5
"""Between two tries of that."""
LINGER_SECONDS = 120.0
"""For jambonz to say what is left, and to close the connection of a call that is over."""
JOIN_SECONDS = 10.0
"""For what came before the end of the connection."""
MAX_WAITING = 200
"""Messages that were acknowledged and not worked off; with more the connection is ended."""
NOT_FOUND, UNAVAILABLE = 404, 503
_POLICY, _NORMAL, _FAILED, _AGAIN = 1008, 1000, 1011, 1013
"""RFC 6455 §7.4.1, and the registry of close codes."""
_SESSION = re.compile(r"[A-Za-z0-9]{1,64}")


def jambonz_routes(ingress: Ingress, login: str, lost: LostCalls) -> list[BaseRoute]:
    """The WebSocket and the webhooks, to be mounted on the public surface. `login`: `user:password`."""
    door = _Door(ingress, login, lost)
    return [
        WebSocketRoute(PATH, door.open),
        Route(STATUS_PATH, webhook(door.status), methods=["POST"]),
        Route(LOST_PATH, webhook(door.goodbye), methods=["POST"]),
    ]


class _Door:
    """Lets in who has the login."""

    def __init__(self, ingress: Ingress, login: str, lost: LostCalls) -> None:
        self._ingress = ingress
        self._owed = Owed()
        self._lost = lost
        self._login = Login(login)

    async def open(self, websocket: WebSocket) -> None:
        """One connection, from its upgrade to its end."""
        if self._login.refusal(websocket, PROVIDER) is not None:
            await websocket.close(_POLICY)
            return
        if SUBPROTOCOL not in websocket.scope["subprotocols"]:
            unproven(PROVIDER, "subprotocol")
            await websocket.close(_POLICY)
            return
        await websocket.accept(SUBPROTOCOL)
        with suppress(WebSocketDisconnect):
            await self._serve(websocket)

    async def status(self, request: Request) -> Response:
        """How a call gets on, where the application has a webhook for it beside the WebSocket."""
        status = await self._told(request)
        if status.parent_call_sid:  # the leg of somebody who was dialled is no conversation
            return JSONResponse({})
        outgoing = Outgoing.of(self._ingress.reports, status)
        if outgoing is not None:
            await outgoing.progress(status.call_status)
        elif status.over:
            ended = parties_of(status).ended(status.call_status, self._ingress.clock.now())
            await self._ingress.dialogue.end(ended)
        return JSONResponse({})

    async def goodbye(self, request: Request) -> Response:
        """What a caller hears last whose connection is not back."""
        texts = self._ingress.calls(parties_of(await self._told(request)).ours).texts
        return JSONResponse(array([Say(text=said(texts.goodbye)), Hangup()]))

    async def _told(self, request: Request) -> CallStatus:
        """What jambonz tells of a call. Raises WebhookRefused."""
        refusal = self._login.refusal(request, PROVIDER)
        if refusal is not None:
            raise refusal
        try:
            return CallStatus.model_validate_json(await read_body(request))
        except ValidationError:
            raise malformed("The body is not a call status of jambonz's.") from None

    async def _serve(self, websocket: WebSocket) -> None:
        first = await self._opening(websocket)
        if first is None or not isinstance(first.event, Opened):
            await closing(websocket, _POLICY)
            return
        with self._lost.here(first.event.call_sid):
            await self._carry(websocket, first, first.event)

    async def _carry(self, websocket: WebSocket, first: Incoming, opened: Opened) -> None:
        """The call, on this connection."""
        session_id = first.msgid if _SESSION.fullmatch(first.msgid) else new_id().replace("-", "")
        send = sending(websocket)
        session = JambonzSession(self._ingress, opened, session_id, send, self._owed, self._lost.rest)
        call_sid = opened.call_sid
        try:
            async with asyncio.timeout(BEGIN_SECONDS):
                verbs, number = await self._open(session, opened)
        except (GatewayError, TimeoutError) as error:
            await _decline(websocket, first, error)
            return
        except LetGo:
            await _hang_up(websocket, first)
            return
        await send(ack(first.msgid, verbs))  # who has left meanwhile has said so, too
        self._lost.back(call_sid)
        await _Connection(websocket, session, send).serve()
        if number is not None and not session.ended:
            self._lost.watch(LostCall(call_sid, number, session.gone, partial(session.take, JOINED)))

    async def _open(self, session: JambonzSession, opened: Opened) -> tuple[tuple[Verb, ...], int | None]:
        """What the call begins with, and which of its connections this is.

        One that is back waits for the database: jambonz may hang up where it is sent away, and counts.
        """
        while True:
            try:
                verbs = await session.open()
                return verbs, await self._ingress.connections.connect(PROVIDER, opened.call_sid)
            except Unavailable:
                if not opened.again:
                    raise
                note("jambonz_waits", opened.call_sid)
                await asyncio.sleep(AGAIN_SECONDS)

    async def _opening(self, websocket: WebSocket) -> Incoming | None:
        """The message that opens the call; before it, one of ours tells how it rings."""
        patience = OPEN_SECONDS
        while True:
            incoming = await _next(websocket, patience)
            match None if incoming is None else incoming.event:
                case CallStatus() as status if await self._rings(status):
                    patience = RING_SECONDS
                case Back() if incoming is not None:
                    patience = RING_SECONDS
                    await websocket.send_json(ack(incoming.msgid))
                case _:
                    return incoming

    async def _rings(self, status: CallStatus) -> bool:
        """Whether it is a call of ours that has got on."""
        outgoing = Outgoing.of(self._ingress.reports, status)
        if outgoing is None:
            return False
        try:
            await outgoing.progress(status.call_status)
        except GatewayError as error:  # whoever has it made looks after it
            code = error.code.value
            log.warning("a report was lost", extra={"action": "voice.report_lost", "code": code})
        return True


class _Connection:
    """One connection: what comes is acknowledged at once, and worked off in order beside that."""

    def __init__(self, websocket: WebSocket, session: JambonzSession, send: Send) -> None:
        self._websocket = websocket
        self._session = session
        self._send = send
        self._waiting: asyncio.Queue[Incoming | None] = asyncio.Queue(MAX_WAITING)
        self._ended = False
        """The call is over, as far as jambonz is concerned."""

    async def serve(self) -> None:
        """Until jambonz closes it, or has had its time to. What this process fails at goes on in another."""
        working = asyncio.create_task(self._work())
        reading = asyncio.create_task(self._read())
        await asyncio.wait({working, reading}, return_when=asyncio.FIRST_COMPLETED)
        reading.cancel()
        joined = asyncio.create_task(self._waiting.join())
        await asyncio.wait({working, joined}, timeout=JOIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for task in (working, joined):
            task.cancel()
        ended = await asyncio.gather(working, reading, joined, return_exceptions=True)
        await self._session.close()
        if self._ended:
            await self._session.gone("completed")  # also where what came before it could not be worked off
        failed = [error for error in ended if isinstance(error, Exception)]
        if failed:
            log.error(
                "a jambonz call broke off", extra={"action": "voice.jambonz_broken"}, exc_info=failed[0]
            )
        await closing(self._websocket, _FAILED if failed else _NORMAL)

    async def _read(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                if message.get("code") == _NORMAL:  # so it does at the end of a call only
                    self._ended = True
                    self._waiting.put_nowait(None)
                return
            incoming = read_message(message.get("text") or "")
            if incoming is None:
                continue
            if incoming.expects_ack:
                await self._send(ack(incoming.msgid, await self._session.acknowledge(incoming)))
            self._waiting.put_nowait(incoming)

    async def _work(self) -> None:
        await self._session.opened()
        while True:
            patience = LINGER_SECONDS if self._session.over else self._session.patience
            try:
                async with asyncio.timeout(patience):
                    incoming = await self._waiting.get()
            except TimeoutError:
                if self._session.over:
                    await self._session.gone("completed")
                    return
                await self._session.tend()
                continue
            try:
                if incoming is None:
                    await self._session.gone("completed")
                else:
                    await self._session.take(incoming)
            finally:
                self._waiting.task_done()


async def _next(websocket: WebSocket, patience: float) -> Incoming | None:
    try:
        async with asyncio.timeout(patience):
            message = await websocket.receive()
    except TimeoutError:
        return None
    return read_message(message.get("text") or "")


async def _decline(websocket: WebSocket, first: Incoming, error: GatewayError | TimeoutError) -> None:
    """The call cannot be taken: it is not answered, so that its network can try elsewhere, or hung up on."""
    code = error.code.value if isinstance(error, GatewayError) else "timeout"
    log.warning("a jambonz call was declined", extra={"action": "voice.jambonz_declined", "code": code})
    opened = first.event if isinstance(first.event, Opened) else None
    if opened is not None and opened.again:
        if isinstance(error, Unavailable | TimeoutError):
            await websocket.close(_AGAIN)  # it was answered before: jambonz comes again
        else:
            await _hang_up(websocket, first)  # its person was erased, say, or the number is no more ours
        return
    decline = SipDecline(status=NOT_FOUND if isinstance(error, UnknownAddress) else UNAVAILABLE)
    answered = opened is not None and opened.direction == "outbound"
    await websocket.send_json(ack(first.msgid, [Hangup() if answered else decline]))
    await websocket.close(_NORMAL)


async def _hang_up(websocket: WebSocket, first: Incoming) -> None:
    """Nobody is to be spoken with. jambonz reads no verbs with the ack of a connection that is back."""
    send = sending(websocket)
    await send(ack(first.msgid, [Hangup()]))
    await send(redirect((Hangup(),)))
    await closing(websocket, _NORMAL)
