"""Wait for a turn: a request that wants its answer on the same connection.

The transient reply queue brings deltas and the news that the turn is over; the turn row is the
truth and is read on every wake, on reconnect and every second, so that a lost frame costs at most
a second. What has been shown of one attempt is never followed by text of another.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

from gateway.domain.clock import Clock
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.ids import new_id
from gateway.domain.message import InboundMessage
from gateway.domain.ports.ingress import Accept
from gateway.domain.ports.replies import Replies, ReplyFrame, ReplyStream
from gateway.domain.ports.store import Store, Tx
from gateway.domain.turn import Said, TurnOutcome, TurnState
from gateway.service.outcomes import Progress, progress, queued
from gateway.service.submit import ApiInput, Submitted, submit, withdraw

_LOOK_EVERY = 1.0
"""Seconds between two looks at the turn row while nothing arrives."""
_GRACE = 20.0
"""Seconds a turn may overstay its time-out before its waiter gives up: a dead worker's turn starts over."""


Put = Callable[[Tx, str, str, ApiInput, int], Awaitable[Submitted]]
"""The unit that stores an input, as `converse.submit` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody says in a conversation, to be answered on the same connection."""

    organization_id: str
    conversation_id: str
    text: str
    for_update: bool = False
    """Refuse instead of waiting when a turn runs or waits."""
    message_id: str | None = None
    """Of a message that is asked again; None: a new one."""


class Waiting:
    """Submits inputs and waits for their turns."""

    def __init__(
        self, store: Store, replies: Replies, clock: Clock, *, turn_timeout: float, partitions: int
    ) -> None:
        self._store = store
        self._replies = replies
        self._clock = clock
        self._turn_timeout = turn_timeout
        self._partitions = partitions

    @property
    def address(self) -> str | None:
        """Where the replies to this process go."""
        return self._replies.address

    @property
    def turn_timeout(self) -> float:
        """Seconds a turn may take."""
        return self._turn_timeout

    async def turn(self, question: Question, put: Put = submit) -> TurnOutcome:
        """Run one turn and answer it whole. Raises GatewayError for every way it can fail."""
        said = self._said(question, stream=False)
        stream = self._replies.listen(said.message_id)
        try:
            submitted = await self._submit(question, said, put)
            waits = queued(submitted)
            if waits is not None:
                return waits
            async for piece in self._follow(question.conversation_id, said.message_id, stream):
                if isinstance(piece, TurnOutcome):
                    return piece
        finally:
            stream.close()
        raise AssertionError("following a turn ends with its outcome or an error")

    async def stream(self, question: Question, put: Put = submit) -> AsyncGenerator[Said | TurnOutcome, None]:
        """Run one turn and show it as it is made; the outcome comes last.

        The first `anext` submits and waits until the turn has started: what it raises was wrong before.
        """
        said = self._said(question, stream=True)
        stream = self._replies.listen(said.message_id)
        try:
            submitted = await self._submit(question, said, put)
            waits = queued(submitted)
            if waits is not None:
                yield waits
                return
            async for piece in self._follow(question.conversation_id, said.message_id, stream):
                yield piece
        finally:
            stream.close()

    async def stream_message(
        self, message: InboundMessage, accept: Accept
    ) -> AsyncGenerator[Said | TurnOutcome, None]:
        """Accept a channel's message and show its turn as it is made; the outcome comes last.

        An empty piece comes first, as soon as the message is stored.
        """
        message_id = new_id()
        stream = self._replies.listen(message_id)
        try:
            waiting = replace(message, message_id=message_id, reply_to=self._replies.address, stream=True)
            accepted = await accept(waiting)
            yield Said("")
            async for piece in self._follow(accepted.conversation_id, accepted.message_id, stream):
                yield piece
        finally:
            stream.close()

    def _said(self, question: Question, *, stream: bool) -> ApiInput:
        return ApiInput(
            message_id=question.message_id or new_id(),
            text=question.text,
            reply_to=self._replies.address,
            stream=stream,
            for_update=question.for_update,
        )

    async def _submit(self, question: Question, said: ApiInput, put: Put) -> Submitted:
        return await self._store.write(
            put, question.organization_id, question.conversation_id, said, self._partitions
        )

    async def _follow(
        self, conversation_id: str, message_id: str, stream: ReplyStream
    ) -> AsyncIterator[Said | TurnOutcome]:
        """An empty piece when the turn has started, deltas as they come, then the outcome."""
        shown = _Shown()
        started = False
        deadline = self._clock.monotonic() + self._turn_timeout
        while True:
            frame = await stream.next(_LOOK_EVERY)
            if frame is not None and not frame.final:
                text = shown.take(frame)
                if text:
                    yield Said(text)
                continue
            found = await self._store.read(progress, conversation_id, message_id)
            if isinstance(found, TurnOutcome):
                if not started:
                    started = True
                    yield Said("")
                if found.state is not TurnState.RUNNING:
                    outcome = settled(found)
                    rest = shown.rest(outcome)
                    if rest:
                        yield Said(rest)
                    yield outcome
                    return
                shown.check(found)
                deadline = self._turn_deadline(found, deadline)
            if found is Progress.GONE:
                raise GatewayError(ErrorCode.CONVERSATION_CLOSED, "the conversation ended meanwhile")
            if self._clock.monotonic() > deadline:
                await self._give_up(message_id, found)

    def _turn_deadline(self, turn: TurnOutcome, deadline: float) -> float:
        """A turn's own time counts from its start, not from when it was asked for."""
        elapsed = max(0.0, (self._clock.now() - turn.started_at) / 1_000_000)
        own = self._clock.monotonic() + self._turn_timeout + _GRACE - elapsed
        return max(deadline, own) if elapsed < self._turn_timeout + _GRACE else deadline

    async def _give_up(self, message_id: str, found: TurnOutcome | Progress) -> None:
        """Too long: the input is withdrawn unless its turn has begun."""
        if isinstance(found, TurnOutcome):
            raise GatewayError(ErrorCode.TURN_TIMEOUT, "the agent did not answer in time")
        if await self._store.write(withdraw, message_id):
            raise GatewayError(
                ErrorCode.UNAVAILABLE,
                "other turns of this conversation took too long; the message was not taken, send it again",
            )

    async def wait(self, conversation_id: str, message_id: str, seconds: float) -> TurnOutcome | None:
        """The outcome of a message's turn, waiting at most `seconds`; None while it is not over."""
        stream = self._replies.listen(message_id)
        deadline = self._clock.monotonic() + seconds
        try:
            while True:
                found = await self._store.read(progress, conversation_id, message_id)
                if isinstance(found, TurnOutcome) and found.state is not TurnState.RUNNING:
                    return found
                left = deadline - self._clock.monotonic()
                if left <= 0 or found is Progress.GONE:
                    return None
                await self._wake(stream, min(left, _LOOK_EVERY))
        finally:
            stream.close()

    async def _wake(self, stream: ReplyStream, seconds: float) -> None:
        """Until the final frame, or `seconds` have gone by."""
        deadline = self._clock.monotonic() + seconds
        while (left := deadline - self._clock.monotonic()) > 0:
            frame = await stream.next(left)
            if frame is None or frame.final:
                return


class _Shown:
    """What a listener has shown: of one attempt only, in order, without a hole."""

    def __init__(self) -> None:
        self._fence: int | None = None
        self._next = 0
        self._text: list[str] = []

    def take(self, frame: ReplyFrame) -> str:
        """The text to show for a delta; empty where one is missing before it."""
        if self._fence is None:
            self._fence = frame.fence
        if frame.fence != self._fence:
            self._interrupted()
            self._fence, self._next = frame.fence, 0
        if frame.n != self._next:
            return ""
        self._next += 1
        self._text.append(frame.text)
        return frame.text

    def check(self, turn: TurnOutcome) -> None:
        """The turn row shows another attempt than the one shown."""
        if self._fence is not None and turn.fence != self._fence:
            self._interrupted()

    def rest(self, outcome: TurnOutcome) -> str:
        """What is still to be shown so that the deltas joined are the text."""
        self.check(outcome)
        shown = "".join(self._text)
        if not outcome.text.startswith(shown):
            self._interrupted()
        return outcome.text[len(shown) :]

    def _interrupted(self) -> None:
        if self._text:
            raise GatewayError(
                ErrorCode.TURN_INTERRUPTED,
                "the reply was interrupted and has begun anew; read the transcript for it",
            )


def settled(outcome: TurnOutcome) -> TurnOutcome:
    """The outcome of a turn that is over, or GatewayError for one that failed."""
    if outcome.state in (TurnState.DONE, TurnState.PARKED):
        return outcome
    if outcome.state is TurnState.SUPERSEDED and outcome.session_status.terminal:
        raise GatewayError(ErrorCode.CONVERSATION_CLOSED, "the conversation was closed meanwhile")
    raise GatewayError(
        outcome.error or ErrorCode.AGENT_FAILED, outcome.error_message or "the agent did not answer"
    )
