"""Turns by API: one with its whole answer or as a stream, the transcript, and the poll."""

import logging
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from pydantic_core import from_json
from starlette.responses import Response

from gateway.api import sse
from gateway.api.answers import IdempotencyKey, answer_of, answered, json_response
from gateway.api.auth import Client, Participant, Principal
from gateway.api.cursors import read_seq
from gateway.api.deps import ApiDeps, Deps
from gateway.api.etags import etag, seen
from gateway.api.reading import ConversationId, CursorText, Limit, known
from gateway.api.route import ApiRoute
from gateway.api.schemas.common import ErrorBody
from gateway.api.schemas.messages import Poll, PollQuery, Transcript, poll, transcript
from gateway.api.schemas.turns import (
    StreamedAnswer,
    TurnAnswer,
    TurnBody,
    evidence_package,
    streamed_answer,
    turn_answer,
)
from gateway.api.visitors import asked, shown_poll
from gateway.api.wakes import TimelineBell, rung
from gateway.domain.conversation import Conversation, Status
from gateway.domain.errors import Unavailable
from gateway.domain.message import Message
from gateway.domain.ports.store import Row, Tx
from gateway.domain.turn import TurnOutcome
from gateway.service.ask import Question
from gateway.service.ask_once import AskOnce, Found, Opened
from gateway.service.converse import messages_since
from gateway.service.idempotency import Answer, Key, remember

router = APIRouter(tags=["turns"], route_class=ApiRoute)

_log = logging.getLogger(__name__)

_LOOK_EVERY = 1.0
"""Seconds between two looks of a poll that is held open, where no bell rings."""

_FAILURES: dict[int | str, dict[str, Any]] = {
    502: {"model": ErrorBody, "description": "`agent_failed`; the user's message stays."},
    504: {"model": ErrorBody, "description": "`turn_timeout`; the user's message stays."},
}
_STREAM_DOC: dict[int | str, dict[str, Any]] = {
    200: {
        "description": '`event: delta` with `{"text"}`, then one `event: complete` or `event: error`.',
        "content": {"text/event-stream": {"example": 'event: delta\ndata: {"text": "Hello"}\n\n'}},
        "model": StreamedAnswer,
    },
    **_FAILURES,
}


def _asking(deps: ApiDeps) -> AskOnce:
    return AskOnce(deps.store, deps.waiting, deps.clock)


def _question(principal: Principal, conversation_id: str, body: TurnBody) -> Question:
    return Question(
        organization_id=principal.organization_id,
        conversation_id=conversation_id,
        text=body.user_message,
        for_update=body.for_update,
    )


async def _last_said(tx: Tx, outcome: TurnOutcome) -> Row | None:
    return await tx.one("message_last_said", conversation_id=outcome.conversation_id, turn_id=outcome.turn_id)


async def _answer(deps: ApiDeps, principal: Principal, body: TurnBody, outcome: TurnOutcome) -> TurnAnswer:
    if not body.include_evidence:
        return turn_answer(outcome, None)
    last = await deps.store.read(_last_said, outcome)
    return turn_answer(
        outcome, evidence_package(outcome, principal.organization_id, body.evidence_view, last)
    )


async def _remember(deps: ApiDeps, key: Key | None, answer: Answer) -> None:
    """Best effort: without it a repetition is answered from the turn's record."""
    if key is None:
        return
    try:
        await deps.store.write(remember, key, answer)
    except Unavailable as error:
        _log.warning(
            "an answer was not remembered",
            extra={"action": "idempotency.not_remembered", "reason": error.message},
        )


@router.post("/{conversation_id}/turns", response_model=TurnAnswer, responses=_FAILURES)
async def run_turn(
    conversation_id: ConversationId, body: TurnBody, principal: Participant, deps: Deps, key: IdempotencyKey
) -> Response:
    """Run one turn and answer it whole.

    409 `conversation_closed`, `turn_in_progress`; 502 `agent_failed`; 503 when its place did not come;
    504 `turn_timeout`.
    """
    body = asked(body, principal)
    result = await _asking(deps).turn(_question(principal, str(conversation_id), body), key)
    if isinstance(result, Answer):
        return answered(result)
    outcome = result.outcome if isinstance(result, Found) else result
    answer = _kept(await _answer(deps, principal, body, outcome))
    await _remember(deps, key, answer)
    return answered(replace(answer, replayed=isinstance(result, Found)))


def _kept(answer: TurnAnswer) -> Answer:
    return answer_of(answer, conversation_id=answer.conversation_id)


@router.post("/{conversation_id}/turns/stream", responses=_STREAM_DOC)
async def stream_turn(
    conversation_id: ConversationId,
    body: TurnBody,
    principal: Participant,
    request: Request,
    deps: Deps,
    key: IdempotencyKey,
) -> Response:
    """Run one turn and show it as it is made (Server-Sent Events).

    What is wrong before the turn is taken is an HTTP status; after that, an `event: error`. A client
    that goes away does not stop the turn.
    """
    body = asked(body, principal)
    result = await _asking(deps).stream(_question(principal, str(conversation_id), body), key)
    if isinstance(result, Answer):
        return sse.stream_response(_again(result), replayed=True)
    if isinstance(result, Found):
        answer = streamed_answer(await _answer(deps, principal, body, result.outcome), None)
        await _remember(deps, key, _kept(answer))
        return sse.stream_response(_again(_kept(answer)), replayed=True)
    show = _Show(deps, principal, body, key, arrived=request.state.arrived)
    return sse.stream_response(show.frames(result))


async def _again(answer: Answer) -> sse.Frames:
    """An answer that was given before: its text as one delta."""
    text = from_json(answer.body)["text"]
    if text:
        yield sse.delta(text)
    yield sse.event("complete", answer.body.encode())


class _Show:
    """Shows one turn."""

    def __init__(
        self, deps: ApiDeps, principal: Principal, body: TurnBody, key: Key | None, *, arrived: float
    ) -> None:
        self._deps = deps
        self._principal = principal
        self._body = body
        self._key = key
        self._arrived = arrived

    async def frames(self, opened: Opened) -> sse.Frames:
        """The events of the stream. Raises GatewayError for how the turn failed."""
        ttft_ms: int | None = None
        async with aclosing(opened.pieces) as pieces:
            async for piece in pieces:
                if isinstance(piece, TurnOutcome):
                    yield await self._end(piece, ttft_ms)
                elif piece.text:
                    if ttft_ms is None:
                        ttft_ms = round((self._deps.clock.monotonic() - self._arrived) * 1000)
                    yield sse.delta(piece.text)

    async def _end(self, outcome: TurnOutcome, ttft_ms: int | None) -> bytes:
        answer = streamed_answer(await _answer(self._deps, self._principal, self._body, outcome), ttft_ms)
        await _remember(self._deps, self._key, _kept(answer))
        return sse.complete(answer)


@router.get("/{conversation_id}/turns", response_model=Transcript)
async def list_turns(
    conversation_id: ConversationId,
    principal: Client,
    deps: Deps,
    limit: Limit = 20,
    cursor: CursorText = None,
) -> Response:
    """Read the transcript, oldest first, one row a message."""
    since = read_seq(cursor)

    async def unit(tx: Tx) -> list[Message]:
        found = await known(tx, principal.organization_id, str(conversation_id))
        return await messages_since(tx, found.id, since, limit + 1)

    return json_response(transcript(await deps.store.read(unit), since, limit))


@dataclass(frozen=True, slots=True)
class _Look:
    status: Status
    tag: str
    body: str | None
    """None where the client has it already."""
    silent: bool
    """No messages in it."""
    news: str | int
    """Differs where there is something new to see: a tag may also change with what is not shown."""

    @property
    def response(self) -> Response:
        """The answer, or 304."""
        if self.body is None:
            return Response(status_code=304, headers={"ETag": self.tag})
        return Response(self.body, headers={"ETag": self.tag}, media_type="application/json")


class _Polling:
    """One poll, looked at as often as it is held open for."""

    def __init__(
        self, principal: Principal, conversation_id: str, query: PollQuery, if_none_match: str | None
    ) -> None:
        self._principal = principal
        self._conversation_id = conversation_id
        self._query = query
        self._if_none_match = if_none_match

    async def look(self, tx: Tx) -> _Look:
        """What the answer is now; its messages are read only where the client has not seen it."""
        found = await known(tx, self._principal.organization_id, self._conversation_id)
        tag = self._counted(found)
        if tag is not None and seen(self._if_none_match, tag):
            return _Look(found.status, tag, None, silent=True, news=found.message_count)
        since, limit = self._query.since_seq, self._query.limit
        messages: list[Message] = []
        if found.message_count - 1 > since:
            messages = await messages_since(tx, found.id, since, limit + 1)
        body = shown_poll(poll(found.status, messages, since, limit), self._principal).model_dump_json()
        news: str | int = found.message_count
        if tag is None:
            tag = news = etag(body)
        shown = None if seen(self._if_none_match, tag) else body
        return _Look(found.status, tag, shown, silent=not messages, news=news)

    def _counted(self, found: Conversation) -> str | None:
        """The tag where the conversation's row tells everything: not of messages that are being delivered."""
        viewer = self._principal.conversation_id, self._query.since_seq, self._query.limit
        if found.message_count - 1 <= self._query.since_seq:
            return etag(found.id, found.status, *viewer)
        if found.channel.delivers:
            return None
        return etag(found.id, found.status, found.message_count, found.updated_at, *viewer)

    def idle(self, first: _Look, look: _Look) -> bool:
        """Whether there is nothing yet that the client does not know."""
        if look.status.terminal or look.status is not first.status:
            return False
        if self._if_none_match is None:
            return look.silent
        return first.body is None and look.news == first.news


@router.get(
    "/{conversation_id}/messages",
    response_model=Poll,
    responses={304: {"description": "Nothing has changed since the answer with this ETag."}},
)
async def poll_messages(
    conversation_id: ConversationId,
    principal: Participant,
    request: Request,
    deps: Deps,
    query: Annotated[PollQuery, Query()],
    if_none_match: Annotated[
        str | None, Header(max_length=1000, description="The ETag of an answer to the same poll.")
    ] = None,
) -> Response:
    """Read the messages after a seq; `wait` holds an idle poll open until there is something new."""
    polling = _Polling(principal, str(conversation_id), query, if_none_match)
    bell: TimelineBell = request.app.state.timeline
    deadline = deps.clock.monotonic() + query.wait
    ring = bell.next() if query.wait else None
    first = look = await deps.store.read(polling.look)
    while ring and not bell.closed and polling.idle(first, look):
        left = deadline - deps.clock.monotonic()
        if left <= 0:
            break
        await rung(ring, min(left, _LOOK_EVERY))
        ring = bell.next()
        look = await deps.store.read(polling.look)
    return look.response
