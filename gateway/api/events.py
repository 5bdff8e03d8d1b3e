"""The events of a conversation as they happen (contract/http-api.md, "Events").

A reader's place is in the event ids alone, so that it may go on after any of them at any process, also after
a restart. A stream looks into the database when a bell of its process rings and every second besides.
"""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from gateway.api import sse
from gateway.api.auth import Participant, Principal
from gateway.api.deps import ApiDeps, Deps
from gateway.api.reading import ConversationId, not_found
from gateway.api.route import ApiRoute
from gateway.api.schemas.common import Shape
from gateway.api.schemas.events import event_body
from gateway.api.visitors import shown_event
from gateway.api.wakes import TimelineBell, rung
from gateway.domain.errors import ErrorCode, GatewayError, Unavailable
from gateway.service.follow import Entry, Look, look, written

router = APIRouter(tags=["conversations"], route_class=ApiRoute)

LOOK_EVERY = 1.0
"""Seconds between two looks where no bell rings."""
_EVENT_ID = re.compile(r"[0-9]{1,18}")

_DOC: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Frames of `id`, `event` (message, status, handoff, approval or intent) and `data`; "
        "the shapes are those of the poll, the lists of operators and the voice intents.",
        "content": {"text/event-stream": {"example": "id: 1\nevent: status\ndata: {…}\n\n"}},
    }
}


@router.get("/{conversation_id}/events", responses=_DOC)
async def conversation_events(
    conversation_id: ConversationId,
    principal: Participant,
    request: Request,
    deps: Deps,
    last_event_id: Annotated[
        str | None,
        Header(max_length=64, description="Go on after this event; 0: from the beginning. Else from now."),
    ] = None,
) -> Response:
    """Follow what happens in a conversation (Server-Sent Events), until it has ended."""
    place = principal.organization_id, str(conversation_id)
    count = await deps.store.read(written, *place)
    if count is None:
        raise not_found("conversation")
    reader = _Reader(deps, request.app.state.timeline, principal, str(conversation_id))
    return sse.stream_response(reader.frames(_position(last_event_id, count)))


def _position(last_event_id: str | None, count: int) -> int:
    """The number of the entry to begin with. Raises GatewayError `invalid_cursor`."""
    if last_event_id is None:
        return count
    if not _EVENT_ID.fullmatch(last_event_id) or int(last_event_id) > count:
        raise GatewayError(
            ErrorCode.INVALID_CURSOR,
            "this Last-Event-ID is not one of this conversation's; 0 begins at the beginning",
        )
    return int(last_event_id)


class _Reader:
    """Reads one conversation's timeline."""

    def __init__(self, deps: ApiDeps, bell: TimelineBell, principal: Principal, conversation_id: str) -> None:
        self._deps = deps
        self._bell = bell
        self._principal = principal
        self._place = principal.organization_id, conversation_id

    async def frames(self, position: int) -> sse.Frames:
        """The events from `position` on, until the conversation or this process ends."""
        while not self._bell.closed:
            ring = self._bell.next()
            found = await self._look(position)
            for entry in found.entries:
                body = shown_event(event_body(entry.subject), self._principal)
                if body is not None:
                    yield _frame(entry, body)
            position = found.position
            if found.over:
                return
            if not found.more:
                await rung(ring, LOOK_EVERY)

    async def _look(self, position: int) -> Look:
        """A database that is away is asked again: the reader stands where it stood."""
        try:
            return await self._deps.store.read(look, *self._place, position)
        except Unavailable:
            return Look((), position, more=False, over=False)


def _frame(entry: Entry, body: Shape) -> bytes:
    """The id counts the entries up to and with this one, so that 0 is before the first."""
    return sse.numbered(str(entry.number + 1), entry.kind.value, body.model_dump_json().encode())
