"""The work of a transfer of a held call: handed out, carried out, handed out again, given up. Pure.

Whoever takes it may die, or not learn what became of it. So it is handed out again, but to nobody while
somebody may be at it, ever less, and not for longer than any call lasts.
"""

from dataclasses import dataclass, replace

from gateway.domain.clock import SECOND
from gateway.domain.warm.held import HeldCall, HeldEvent
from gateway.domain.warm.words import Tick

AGAIN_SECONDS = 15
"""After which what is not known to be done is handed out again: longer than a request takes."""
AGAIN_AT_LEAST_EVERY = 300
"""Seconds between two tries: the gaps grow to that."""
GIVEN_UP_AFTER = 86_400
"""Seconds: no call lasts longer at Twilio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What of a transfer's work has been carried out."""

    noted: bool = False
    recalled: bool = False
    hung_up: frozenset[int] = frozenset()
    """The attempts whose legs are no more, or are not known."""


def taken(held: HeldCall, at: int) -> HeldCall:
    """The work is somebody's now: whatever becomes of them, nobody else begins to dial again."""
    recalling = held.recalling if held.recall is None else held.recall
    held = replace(held, dials=(), recall=None, recalling=recalling)
    if not held.busy:
        return _at_rest(held)
    if held.at_work(at):
        return held
    since = at if held.undone_since is None else held.undone_since
    gap = max(AGAIN_SECONDS * SECOND, min(AGAIN_AT_LEAST_EVERY * SECOND, (at - since) // 2))
    return replace(held, undone_since=since, again_at=at + gap)


def offered(held: HeldCall, event: HeldEvent, at: int) -> HeldCall:
    """`held`, less what somebody may be at: a timer that looks does not do it beside them."""
    return replace(held, hang_ups=()) if isinstance(event, Tick) and held.at_work(at) else held


def carried_out(held: HeldCall, work: HeldCall, done: Done) -> HeldCall:
    """`work`: the transfer as it was when its work was taken.

    Of a leg whose id has become known meanwhile, nothing has been carried out.
    """
    ended = {attempt for attempt in done.hung_up if held.legs.get(attempt) == work.legs.get(attempt)}
    held = replace(
        held,
        noted=max(held.noted, len(work.told)) if done.noted else held.noted,
        reported=held.reported or (done.noted and work.owes_report),
        hang_ups=tuple(one for one in held.hang_ups if one.attempt not in ended),
        recalling=None if done.recalled and held.recalling == work.recall else held.recalling,
    )
    return held if held.busy else _at_rest(held)


def hopeless(held: HeldCall, at: int) -> bool:
    """Whether a call has not taken what it was told for so long that it cannot be there any more."""
    told = bool(held.hang_ups) or held.recalling is not None
    since = held.undone_since
    return told and since is not None and at - since >= GIVEN_UP_AFTER * SECOND


def given_up(held: HeldCall) -> HeldCall:
    """No call is told anything any more."""
    held = replace(held, hang_ups=(), recall=None, recalling=None)
    return held if held.busy else _at_rest(held)


def untold(held: HeldCall) -> HeldCall:
    """The caller was erased: nothing is noted in a transcript any more, which would name them again."""
    return replace(held, noted=len(held.told), reported=True)


def _at_rest(held: HeldCall) -> HeldCall:
    return replace(held, again_at=None, undone_since=None)
