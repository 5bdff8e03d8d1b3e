"""What is kept of a warm transfer between two events: each person called once, one end."""

import random
from dataclasses import replace
from itertools import pairwise

from gateway.domain.clock import SECOND
from gateway.domain.intent import CallTransferIntent, OnFailure, TransferMode, WarmTransfer, resolve_transfer
from gateway.domain.outcome import TransferState
from gateway.domain.warm.held import (
    CallerAsks,
    CallerWaits,
    HeldCall,
    HeldEvent,
    NewTransfer,
    happen,
    hold,
    restored_held,
    stored_held,
)
from gateway.domain.warm.words import (
    CALLER_LEFT,
    NOT_JOINED,
    CallerGone,
    Cancel,
    Event,
    Leg,
    LegEvent,
    PersonTexts,
    Spoken,
    Tick,
)
from gateway.domain.warm.work import (
    AGAIN_AT_LEAST_EVERY,
    AGAIN_SECONDS,
    Done,
    carried_out,
    given_up,
    hopeless,
    offered,
    taken,
)

ANN, BOB = "+15550112", "sip:desk@example.org"
AGAIN = AGAIN_SECONDS * SECOND
_ACCEPTED = [Leg(1, one) for one in (LegEvent.ANSWERED, LegEvent.BRIEFED, LegEvent.ACCEPTED)]


def new(on_failure: str | None = None, retries: int = 1, **warm: object) -> NewTransfer:
    """A transfer to Ann, then Bob."""
    intent, _ = resolve_transfer(
        CallTransferIntent(
            destination=ANN,
            mode=TransferMode.WARM,
            warm_destinations=[ANN, BOB],
            max_retries=retries,
            on_failure=on_failure,
            warm=WarmTransfer.model_validate(warm),
        )
    )
    return NewTransfer(
        id="t",
        provider="twilio",
        call_id="CA1",
        conversation_id="c",
        sender="+14155550123",
        recipient="+15550100",
        proven=True,
        n=1,
        session="",
        intent=intent,
        briefing="A caller.",
    )


def events(held: HeldCall, *following: Event) -> HeldCall:
    """These happen one after the other, each stored and its work taken."""
    for event in following:
        held = taken(happen(restored_held(stored_held(held)), event, 0), 0)
    return held


def test_a_person_who_was_not_called_yet_never_is() -> None:
    """The caller leaves before anybody has taken the work."""
    held = happen(hold(new(), 0), Spoken(), 0)
    assert [dial.destination for dial in held.dials] == [ANN]
    gone = happen(held, CallerGone(), 0)
    assert (gone.dials, gone.hang_ups) == ((), ())
    assert gone.owes_report


def test_what_a_leg_hears_last() -> None:
    """Whose caller has left, who comes late, and who is to stay."""
    held = events(hold(new(), 0), Spoken(), Leg(1, LegEvent.ANSWERED))
    assert held.parting(1) is None
    assert happen(held, CallerGone(), 0).parting(1) == CALLER_LEFT
    after = events(held, Leg(1, LegEvent.DECLINED))
    assert (after.parting(1), after.parting(2)) == (NOT_JOINED, None)
    joined = events(held, Leg(1, LegEvent.ACCEPTED), Leg(1, LegEvent.BRIDGED))
    assert joined.parting(1) is None


def test_persons_are_told_in_their_language() -> None:
    told = PersonTexts(confirm="1 oder 2?", caller_left="Niemand mehr da.", not_joined="Leider nicht.")
    held = events(hold(replace(new(), persons=told), 0), Spoken(), Leg(1, LegEvent.ANSWERED))
    asked = events(held, Leg(1, LegEvent.BRIEFED))
    assert asked.line is not None
    assert asked.line.text == "1 oder 2?"
    gone = happen(asked, CallerGone(), 0)
    assert (gone.parting(1), gone.hang_ups[0].after) == ("Niemand mehr da.", "Niemand mehr da.")
    late = happen(events(asked, Leg(1, LegEvent.DECLINED)), Leg(1, LegEvent.ACCEPTED), 0)
    assert (late.parting(1), late.hang_ups[0].after) == ("Leider nicht.", "Leider nicht.")


def test_a_caller_who_is_passed_on_cold_has_their_outcome_later() -> None:
    """That of the last call."""
    held = events(hold(new("cold_transfer", 0), 0), Spoken(), Leg(1, LegEvent.FAILED))
    assert held.warm.outcome is not None
    assert held.warm.outcome.then is OnFailure.COLD_TRANSFER
    assert not held.owes_report


def test_hundreds_of_orders_of_events_and_deaths() -> None:
    """Work is taken by processes that may die before they do it, or before they say so."""
    luck = random.Random(20_261_126)
    ends: set[TransferState] = set()
    recalls = 0
    for _ in range(400):
        held, at = hold(new(retries=luck.randrange(3)), 0), 0
        dialled: list[int] = []
        ended: set[int] = set()
        outcomes = 0
        following = luck.randrange(30)
        while following > 0 or held.warm.due is not None or held.busy:
            following -= 1
            work, held = held, taken(held, at)
            dialled += [dial.attempt for dial in work.dials]
            notes = work.notes(at)
            if luck.random() < 0.7:  # else whoever took the work is dead
                outcomes += bool(notes) and notes[-1].provider_message_id.endswith(":end")
                known = [one.attempt for one in work.hang_ups if luck.random() < 0.8]
                ended |= set(known)
                recalled = luck.random() < 0.8
                recalls += recalled and work.recall is not None
                done = Done(noted=True, recalled=recalled, hung_up=frozenset(known))
                held = carried_out(held, work, done)
            at += luck.choice([0, 0, 1, 5]) * SECOND
            if following <= 0:
                at = max(at, held.warm.due or 0, held.again_at or 0)
            event = Tick() if following <= 0 else _any(luck, held)
            waited, answer = held.waits, held.answer
            held = restored_held(stored_held(happen(held, event, at, f"leg-{held.warm.attempt}")))
            news = held.answer != answer and not isinstance(event, CallerGone)
            assert not (waited and news) or held.recall is not None, "a caller is left alone"
        assert held.warm.outcome is not None
        ends.add(held.warm.outcome.state)
        assert dialled == sorted(set(dialled)), "a person is called twice for one attempt"
        assert outcomes == 1
        assert held.reported
        assert not held.hang_ups
        assert held.recalling is None
    assert len(ends) == 4
    assert recalls


def _any(luck: random.Random, held: HeldCall) -> HeldEvent:
    if luck.random() < 0.3:
        asks: list[HeldEvent] = [CallerAsks(), CallerWaits()]
        return luck.choice([Tick(), Spoken(), Spoken(), CallerGone(), Cancel(), *asks])
    attempt = luck.randint(1, max(1, held.warm.attempt))
    forward = [LegEvent.ANSWERED, LegEvent.HUMAN, LegEvent.BRIEFED, LegEvent.ACCEPTED, LegEvent.BRIDGED]
    return Leg(attempt, luck.choice(forward * 6 + list(LegEvent)))


def test_what_a_call_does_not_take_is_told_again_ever_less_and_not_for_ever() -> None:
    """A recall that is refused for a day: nobody is at it twice at once, whatever ticks."""
    at = 0
    told: list[int] = []
    held = happen(events(hold(new(), 0), Spoken(), *_ACCEPTED), CallerWaits(), at)
    held = happen(held, Leg(1, LegEvent.GONE), at)
    assert held.recall == 1
    while not hopeless(held, at):
        told.append(at)
        held = taken(held, at)
        held = carried_out(held, held, Done(noted=True))
        again_at = held.again_at
        assert again_at is not None
        held = happen(held, Tick(), again_at - 1)
        assert held.recall is None
        at = again_at
        held = taken(happen(held, Spoken(), at), at - 1)
        held = happen(held, Tick(), at)
        assert held.recall == 1
    gaps = [(after - before) // SECOND for before, after in pairwise(told)]
    assert gaps == sorted(gaps)
    assert (gaps[0], gaps[-1]) == (AGAIN_SECONDS, AGAIN_AT_LEAST_EVERY)
    assert 86_400 <= at // SECOND < 86_400 + AGAIN_AT_LEAST_EVERY
    assert not given_up(held).busy


def test_what_was_done_is_told_no_more_and_what_comes_later_is_told_at_once() -> None:
    held = events(hold(new(retries=0), 0), Spoken(), Leg(1, LegEvent.RINGING))
    gone = happen(held, CallerGone(), 0, "leg-1")
    work, held = gone, taken(gone, 0)
    assert offered(happen(held, Tick(), 1), Tick(), 1).hang_ups == ()
    assert len(offered(happen(held, Tick(), AGAIN), Tick(), AGAIN).hang_ups) == 1
    held = carried_out(held, work, Done(noted=True, hung_up=frozenset({1})))
    assert (held.busy, held.again_at, held.undone_since) == (False, None, None)
    late = happen(held, Leg(1, LegEvent.ACCEPTED), 5 * AGAIN)
    assert len(offered(late, Leg(1, LegEvent.ACCEPTED), 5 * AGAIN).hang_ups) == 1
    assert taken(late, 5 * AGAIN).undone_since == 5 * AGAIN
