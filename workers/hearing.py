"""What callers at voice hosts say and press: inputs of the conversation, once each, in the order of time.

A call may be over before all that was said on it has been worked off: of that nothing is begun any more.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from pydantic import ValidationError

from gateway.domain.call_rules import CallTexts
from gateway.domain.clock import Clock
from gateway.domain.envelope import Envelope
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.message import JsonObject
from gateway.domain.ports.bus import DONE, Verdict, dead
from gateway.domain.ports.ingress import Accept
from gateway.domain.ports.store import Store
from gateway.domain.wire import CallDue, IntentReport, UserDtmf, UserInterrupted, UserSpeech
from gateway.service.call_intents import settle_intent
from gateway.service.call_keys import Entered, is_pressing, look, press, say_between
from gateway.service.call_keys import accepted as accepted_keys
from gateway.service.silence import hear
from gateway.telemetry import HOST_EVENTS_LEFT_OUT
from workers.announced import Call, announced, shown

Heard = UserSpeech | UserDtmf | UserInterrupted


class Hearing:
    """Takes in what is heard on the calls of hosts."""

    def __init__(self, store: Store, accept: Accept, clock: Clock, texts: Callable[[str], CallTexts]) -> None:
        """`texts`: what the gateway says itself to those who call a number of ours."""
        self._store = store
        self._accept = accept
        self._clock = clock
        self._texts = texts

    async def take(self, envelope: Envelope, event: Heard, call: Call) -> Verdict:
        """The caller has said or pressed something, or spoken over what is being said."""
        if call.over:
            return await self._too_late(envelope, event, call)
        try:
            return await self._take(envelope, event, call)
        except GatewayError as error:
            if error.code is not ErrorCode.CONVERSATION_CLOSED:
                raise
            return await self._too_late(envelope, event, call)

    async def due(self, envelope: Envelope) -> Verdict:
        """Keys that were pressed may be complete, or wait to be accepted."""
        try:
            due = CallDue.model_validate(envelope.data)
        except ValidationError:
            return dead("not a valid voice.due")
        call = await self._store.read(announced, due.call_id)
        if call is not None and not call.over:
            try:
                await self._enter(call, await self._store.write(look, call.place, envelope.id))
            except GatewayError as error:
                if error.code is not ErrorCode.CONVERSATION_CLOSED:
                    raise
        return DONE

    async def _too_late(self, envelope: Envelope, event: Heard, call: Call) -> Verdict:
        """Other events of a call may be worked off before: what was said as it ended is noted.

        Of keys and interruptions nothing can come; as a dead letter they would only keep what was pressed.
        """
        if isinstance(event, UserSpeech) and event.final:
            text = f"The caller said as the call ended: {event.text}"
            await self._accept(call.event(envelope.id, text, shown(event), self._clock.now()))
        else:
            HOST_EVENTS_LEFT_OUT.labels(event.kind, "late").inc()
        return DONE

    async def _take(self, envelope: Envelope, event: Heard, call: Call) -> Verdict:
        place, now = call.place, self._clock.now()
        if call.silent:
            await self._store.write(hear, place)
        match event:
            case UserSpeech(final=False):
                return DONE
            case UserDtmf(ended_by=None, digits=keys, n=n):
                await self._enter(call, await self._store.write(press, place, envelope.id, keys, n))
            case UserSpeech(text=said) if is_pressing(call.keys):
                await self._enter(call, await self._store.write(say_between, place, envelope.id, said))
            case UserSpeech(text=said) | UserDtmf(digits=said):
                await self._accept(call.input(envelope.id, said, now))
            case UserInterrupted():
                over = shown(event) | self._over(event, call)
                told = call.event(envelope.id, "The caller interrupted.", over, now)
                await self._accept(told)
        return DONE

    def _over(self, event: UserInterrupted, call: Call) -> JsonObject:
        """What was spoken over, where that is no reply: a filler, it may be, or a line into a silence."""
        texts, heard = self._texts(call.recipient), event.spoken_text
        lines = (texts.reminder, texts.reassurance, texts.goodbye)
        if call.line_last and (not heard or any(_begins(line, heard) for line in lines)):
            return {"line": True}
        return {"filler": True} if _begins(texts.filler, heard) else {}

    async def _enter(self, call: Call, entered: Sequence[Entered]) -> None:
        """Accept what is complete; until then it stays where it is."""
        for one in entered:
            pressed = {} if one.ended_by is None else {"dtmf": {"ended_by": one.ended_by}}
            await self._accept(replace(call.input(one.id, one.text, self._clock.now()), metadata=pressed))
            if one.intent_id is not None:
                done = IntentReport(
                    kind="intent.outcome",
                    call_id=call.call_id,
                    intent_id=one.intent_id,
                    seq=None,
                    state="collected",
                )
                await self._store.write(settle_intent, done, one.id)
        if entered:
            await self._store.write(accepted_keys, call.place, [one.id for one in entered])


def _begins(line: str, heard: str | None) -> bool:
    """Whether what was heard is the beginning of a line; hosts write spaces and capitals as they like."""
    words, begun = line.casefold().split(), (heard or "").casefold().split()
    return bool(begun) and " ".join(words).startswith(" ".join(begun))
