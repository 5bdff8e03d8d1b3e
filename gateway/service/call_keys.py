"""Keys that a voice host reports one by one become inputs here, whichever process hears of them.

The collector is kept with the row of its call. An input that is complete stays beside it until it has been
accepted as a message; so an event that is delivered again finds it, and adds nothing. Keys that are numbered
are taken in the order of their numbers: one that is ahead waits for those before it, but not for ever.
"""

from collections.abc import Callable, Sequence

from pydantic import BaseModel, Field, ValidationError

from gateway.domain.clock import SECOND
from gateway.domain.digits import Collected, DigitCollector, Digits, Said
from gateway.domain.envelope import Exchange
from gateway.domain.ids import named_id, new_id
from gateway.domain.intent import DtmfInputSpec
from gateway.domain.ports.store import Row, Tx
from gateway.domain.voice import VoiceIntent
from gateway.service.postings import envelope, post
from gateway.store.records import unpack

MAX_SEEN = 200
"""Events of a call by which one that is delivered again is known."""
MAX_AHEAD = 64
"""Keys that wait for one before them; more do not."""
GAP = 7 * SECOND
"""µs for which a key is waited for that others have overtaken: longer than a second attempt takes."""
COLLECTS = "dtmf_collected"
"""The capability of a host that does this itself."""
SINGLE = "dtmf_events"
"""The capability of one that reports keys as they are pressed."""

Place = tuple[str, str]
"""A call: its host's id, and the host's name of it."""


class Entered(BaseModel):
    """What a caller has pressed or said, in the order of time, and whole."""

    id: str
    text: str
    ended_by: str | None
    """None for speech."""
    intent_id: str | None
    """The `collect_dtmf` that it answers."""


class _Ahead(BaseModel):
    """Keys that have overtaken others."""

    n: int
    event_id: str
    keys: str


class _Kept(BaseModel):
    """As it stands in the call's row."""

    collector: DigitCollector = Field(default_factory=DigitCollector)
    seen: list[str] = []
    entered: list[Entered] = []
    intent_id: str | None = None
    next: int = 0
    """The number of the key that is due."""
    ahead: list[_Ahead] = []
    since: int | None = None
    """When the first of these came."""

    @property
    def due(self) -> int | None:
        """When there is something to do, if nothing happens before."""
        return self.collector.due if self.since is None else self.since + GAP

    def began(self, at: int) -> int:
        """When what is taken now was pressed: that others came first is no pause of the caller's."""
        return at if self.since is None else self.since

    def pour(self, at: int, *, gaps: bool = False) -> None:
        """Take what was ahead and is due now; with `gaps`, all of it."""
        at = self.began(at)
        self.ahead.sort(key=lambda one: one.n)
        while self.ahead and (gaps or self.ahead[0].n <= self.next):
            one = self.ahead.pop(0)
            self.next = max(self.next, one.n + 1)
            self.press(one.event_id, one.keys, at)
        if not self.ahead:
            self.since = None

    def press(self, event_id: str, keys: str, at: int) -> None:
        """Keys whose turn it is."""
        self.enter(event_id, [collected for key in keys for collected in self.collector.press(key, at)])

    def enter(self, event_id: str, collected: Sequence[Collected]) -> None:
        """Note what is complete. That its first key stops what is being said is the host's to do."""
        for n, one in enumerate(collected):
            entry_id = named_id(event_id, "entered", str(n))
            match one:
                case Digits():
                    entry = Entered(
                        id=entry_id, text=one.text, ended_by=one.ended_by.value, intent_id=self.intent_id
                    )
                    self.intent_id = None
                    self.entered.append(entry)
                case Said():
                    self.entered.append(Entered(id=entry_id, text=one.text, ended_by=None, intent_id=None))
                case _:
                    pass

    def discard(self) -> int:
        """What was pressed is nobody's; how many keys."""
        left = len(self.collector.discard()) + sum(len(one.keys) for one in self.ahead)
        self.ahead, self.since = [], None
        return left


def collects_here(call: Row) -> bool:
    """Whether the digits of a call are collected by the gateway: its host reports keys, and only keys."""
    capabilities = unpack(call["capabilities"], [])
    return SINGLE in capabilities and COLLECTS not in capabilities


def hears_no_keys(call: Row) -> bool:
    """Whether the host of a call has said what it can do, and keys are not of that."""
    capabilities = unpack(call["capabilities"], [])
    return bool(capabilities) and not {SINGLE, COLLECTS} & set(capabilities)


def is_pressing(keys: str | None) -> bool:
    """Whether keys were pressed that are no input yet: what is said meanwhile comes after them."""
    kept = _kept(keys)
    return kept.collector.buffered or bool(kept.ahead)


async def press(
    tx: Tx, place: Place, event_id: str, keys: str, number: int | None = None
) -> Sequence[Entered]:
    """Keys, in the order in which they were pressed; what is complete and not accepted yet."""

    def pressed(kept: _Kept, at: int) -> None:
        if number is not None and number > kept.next and len(kept.ahead) < MAX_AHEAD:
            kept.ahead.append(_Ahead(n=number, event_id=event_id, keys=keys))
            kept.since = kept.began(at)
            return
        kept.press(event_id, keys, kept.began(at))
        if number is not None:
            kept.next = max(kept.next, number + 1)
        kept.pour(at)

    return await _hear(tx, place, event_id, pressed, number)


async def say_between(tx: Tx, place: Place, event_id: str, text: str) -> Sequence[Entered]:
    """Something was said: after the keys that are being pressed."""

    def said(kept: _Kept, at: int) -> None:
        kept.pour(at, gaps=True)
        kept.enter(event_id, kept.collector.say(text, at))

    return await _hear(tx, place, event_id, said)


async def look(tx: Tx, place: Place, event_id: str) -> Sequence[Entered]:
    """Time has passed."""

    def looked(kept: _Kept, at: int) -> None:
        if kept.since is None or at >= kept.since + GAP:
            kept.pour(at, gaps=True)
            kept.enter(event_id, kept.collector.tick(at))

    return await _hear(tx, place, event_id, looked)


async def accepted(tx: Tx, place: Place, ids: Sequence[str]) -> None:
    """These are messages now."""
    row = await tx.one("call_keys", host_id=place[0], call_id=place[1])
    if row is not None:
        kept = _read(row)
        kept.entered = [one for one in kept.entered if one.id not in ids]
        await _keep(tx, place, kept)


async def leave(tx: Tx, place: Place) -> int:
    """The call is over; how many keys were pressed and are no input."""
    row = await tx.one("call_keys", host_id=place[0], call_id=place[1])
    if row is None or row["keys"] is None:
        return 0
    kept = _read(row)
    left = kept.discard()
    await _keep(tx, place, kept)
    return left


async def expect_keys(tx: Tx, call: Row, asked: VoiceIntent | None) -> None:
    """The next input of a call is collected as a turn asked for it (None: as usual)."""
    place = (call["host_id"], call["call_id"])
    row = await tx.one("call_keys", host_id=place[0], call_id=place[1])
    if row is None or (asked is None and row["keys"] is None):
        return
    kept = _read(row)
    kept.intent_id = None if asked is None else asked.intent_id
    spec = None if asked is None else DtmfInputSpec.model_validate(asked.payload)
    kept.enter(new_id(), kept.collector.retune(spec, kept.began(row["at"])))
    await _keep(tx, place, kept)
    if kept.entered:
        await _ring(tx, place, row)


async def _hear(
    tx: Tx, place: Place, event_id: str, act: Callable[[_Kept, int], None], number: int | None = None
) -> Sequence[Entered]:
    row = await tx.one("call_keys", host_id=place[0], call_id=place[1])
    if row is None or row["ended_at"] is not None:  # what is pressed after the end is not kept
        return ()
    kept = _read(row)
    if row["transferring"]:
        kept.discard()
        kept.next = max(kept.next, -1 if number is None else number + 1)
    elif event_id not in kept.seen:
        act(kept, row["at"])
        if kept.due is not None:
            await _ring(tx, place, row, kept.due)
    kept.seen = [*kept.seen[1 - MAX_SEEN :], event_id]
    await _keep(tx, place, kept)
    return kept.entered


def _read(row: Row) -> _Kept:
    return _kept(row["keys"])


def _kept(keys: str | None) -> _Kept:
    """What cannot be read, as another version may have written it, is as if it had not been pressed."""
    try:
        return _Kept() if keys is None else _Kept.model_validate_json(keys)
    except ValidationError:
        return _Kept()


async def _keep(tx: Tx, place: Place, kept: _Kept) -> None:
    await tx.run("call_keys_keep", host_id=place[0], call_id=place[1], keys=kept.model_dump_json())


async def _ring(tx: Tx, place: Place, row: Row, due_at: int | None = None) -> None:
    """Have the call looked at when its keys may be complete; None: they are."""
    due = envelope(
        "voice.due",
        {"host_id": place[0], "call_id": place[1]},
        at=row["at"],
        organization_id=row["organization_id"],
        conversation_id=row["conversation_id"],
    )
    delay = 0 if due_at is None else (due_at - row["at"]) / SECOND
    await post(tx, Exchange.VOICE_EVENTS, "event", due, delay_seconds=delay)
