"""A warm transfer over jambonz, in whatever order things happen: nobody is joined who has not accepted."""

import asyncio
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from channels.voice.jambonz.kept import Kept
from channels.voice.jambonz.messages import (
    ANSWER_HOOK,
    CONFIRM_HOOK,
    Dialed,
    Gathered,
    Incoming,
    Place,
    Screened,
)
from channels.voice.jambonz.persons import Persons
from channels.voice.jambonz.transfer import Transfer
from channels.voice.jambonz.verbs import Dial, Gather, Hangup, Say, Verb
from channels.voice.jambonz.warm import ACCEPT_KEY, ASKING, BRIEFING, JOINS, REMINDING, JambonzWarm
from channels.voice.parties import Parties
from gateway.domain.call_rules import CallPace, CallRules
from gateway.domain.clock import SECOND, Clock
from gateway.domain.errors import Unavailable
from gateway.domain.intent import CallTransferIntent, TransferMode, WarmTransfer
from gateway.domain.outcome import TransferReason, TransferState
from gateway.domain.warm.held import HeldCall, restored_held, stored_held
from gateway.domain.warm.state import Warm
from gateway.domain.warm.words import Finish

RULES = CallRules(pace=CallPace(characters_per_second=10.0))
ANN, BOB = "+15550112", "+15550113"
CALL = Parties(provider="jambonz", sid="call-1", theirs="+14155550100", ours="+15550100", proven=True)


class Row:
    """KeptTransfers: the row of one transfer."""

    def __init__(self, *, away: bool = False) -> None:
        self.kept: HeldCall | None = None
        self._holder = ""
        self._away = away

    async def keep(self, held: HeldCall, holder: str) -> bool:
        """Where no other has it."""
        if self._away:
            raise Unavailable("away")
        self._holder = self._holder or holder
        if holder == self._holder:
            self.kept = restored_held(stored_held(held))
        return holder == self._holder

    async def take_up(self, provider: str, call_id: str, holder: str) -> HeldCall | None:
        """It is this one's now."""
        self._holder = holder
        return self.kept


def warm(
    *,
    retries: int = 1,
    silence: bool = False,
    persons: tuple[str, ...] = (ANN, BOB),
    state: Warm | None = None,
) -> JambonzWarm:
    """A transfer that has not begun, or one as it stands."""
    settings = WarmTransfer(
        hold_announcement_text="x" * 100, detect_supervisor_silence=silence, max_dial_seconds=30
    )
    intent = CallTransferIntent(
        destination="+15550111",
        mode=TransferMode.WARM,
        warm_destinations=list(persons),
        max_retries=retries,
        warm=settings,
    )
    transfer = Transfer(intent=intent, intent_id=None, session="s", n=1)
    return JambonzWarm(transfer, "A caller.", RULES, state)


def steps(verbs: tuple[Verb, ...]) -> list[int]:
    """Which questions a person is asked."""
    places = [Place.parse(verb.action_hook) for verb in verbs if isinstance(verb, Gather)]
    return [place.step for place in places if place is not None]


def test_whoever_is_called_rings_as_long_as_was_asked_for_once_the_caller_has_been_told() -> None:
    transfer = warm()
    begun = transfer.begin(0)
    [dial] = [verb for verb in begun.verbs if isinstance(verb, Dial)]
    assert dial.timeout == 30
    assert transfer.due is not None
    assert not transfer.tick(39 * SECOND).verbs
    late = transfer.tick(41 * SECOND)
    assert [verb.target[0] for verb in late.verbs if isinstance(verb, Dial)]
    assert transfer.attempt == 2


async def test_what_is_still_being_said_before_is_no_time_of_the_first_person() -> None:
    transfer, put = warm(), list[Verb]()

    async def take(*verbs: Verb) -> None:
        put.extend(verbs)

    async def finished(_transfer: Transfer, _warm: JambonzWarm, _finish: Finish) -> None:
        raise AssertionError("it has begun just now")

    about = Transfer(intent=CallTransferIntent(destination=ANN), intent_id=None, session="s", n=1)
    kept = Kept(Row(), CALL, "s")
    persons = Persons(about, transfer, Clock(now=lambda: 0), kept, take, finished)
    await persons.begin(take, wait=0.0, ahead=25.0)
    assert [verb.timeout for verb in put if isinstance(verb, Dial)] == [30]
    assert not transfer.tick(64 * SECOND).verbs
    assert [verb for verb in transfer.tick(66 * SECOND).verbs if isinstance(verb, Dial)]


class Connection:
    """One connection of a call: what it tells jambonz, and how the transfer has ended there."""

    def __init__(self, row: Row, session: str, transfer: JambonzWarm) -> None:
        self.put: list[Verb] = []
        self.finishes: list[Finish] = []
        self.row = row
        about = Transfer(intent=CallTransferIntent(destination=ANN), intent_id=None, session="s", n=1)
        clock = Clock(now=lambda: 0)
        kept = Kept(row, CALL, session)
        self.persons = Persons(about, transfer, clock, kept, self._take, self._finished)

    @property
    def dialled(self) -> int:
        """How many persons were called here."""
        return len([verb for verb in self.put if isinstance(verb, Dial)])

    async def next(self, session: str) -> "Connection":
        """Another connection takes the call up."""
        held = await self.row.take_up(CALL.provider, CALL.sid, session)
        assert held is not None
        return Connection(self.row, session, warm(state=held.warm))

    async def asks(self, hook: str, step: int = 0, attempt: int = 1, key: str = "") -> tuple[Verb, ...]:
        """jambonz asks about a person."""
        event = Gathered(digits=key) if hook == ANSWER_HOOK else None
        verbs = await self.persons.acknowledge(
            Incoming("id", expects_ack=True, event=event, place=Place(hook, "s", 1, attempt, step))
        )
        await self.persons.settle()
        return verbs

    async def _take(self, *verbs: Verb) -> None:
        self.put.extend(verbs)

    async def _finished(self, _transfer: Transfer, _warm: JambonzWarm, finish: Finish) -> None:
        self.finishes.append(finish)


async def test_a_connection_goes_on_where_the_one_before_it_was_and_calls_nobody_again() -> None:
    first = Connection(Row(), "s", warm())
    await first.persons.begin(first._take, wait=0.0, ahead=0.0)
    assert first.dialled == 1
    second = await first.next("t")
    await second.persons.go_on()
    assert isinstance((await second.asks(CONFIRM_HOOK))[-1], Hangup)
    third = await second.next("u")
    await third.persons.go_on()
    assert await third.asks(ANSWER_HOOK, BRIEFING) == ()
    assert await third.asks(ANSWER_HOOK, ASKING, key=ACCEPT_KEY) == JOINS
    assert [finish.state for finish in third.finishes] == [TransferState.TRANSFERRED]
    assert (second.dialled, third.dialled) == (0, 0)


async def test_that_a_person_has_answered_may_have_been_told_to_the_one_before() -> None:
    first = Connection(Row(), "s", warm())
    await first.persons.begin(first._take, wait=0.0, ahead=0.0)
    second = await first.next("t")
    await second.persons.go_on()
    assert await second.asks(ANSWER_HOOK, BRIEFING, key=ACCEPT_KEY) == JOINS
    assert [finish.state for finish in second.finishes] == [TransferState.TRANSFERRED]


async def test_an_acceptance_that_jambonz_was_not_told_of_counts_when_it_is_given_again() -> None:
    first = Connection(Row(), "s", warm())
    await first.persons.begin(first._take, wait=0.0, ahead=0.0)
    await first.asks(CONFIRM_HOOK)
    accepted = Incoming("id", expects_ack=True, event=Gathered(digits=ACCEPT_KEY), place=_at(BRIEFING))
    assert await first.persons.acknowledge(accepted) == JOINS
    second = await first.next("t")
    await second.persons.go_on()
    assert [finish.state for finish in second.finishes] == [TransferState.TRANSFERRED]
    assert await second.persons.acknowledge(accepted) == JOINS


async def test_what_had_not_begun_begins_where_it_is_taken_up() -> None:
    row = Row()
    first = Connection(row, "s", warm())
    waiting = asyncio.create_task(first.persons.begin(first._take, wait=60.0, ahead=0.0))
    while not row.kept:  # noqa: ASYNC110 - the row is no event
        await asyncio.sleep(0)
    second = await first.next("t")
    await second.persons.go_on()
    assert second.dialled == 1
    waiting.cancel()


async def test_a_connection_that_has_lost_the_transfer_does_nothing_more() -> None:
    first = Connection(Row(), "s", warm())
    await first.persons.begin(first._take, wait=0.0, ahead=0.0)
    second = await first.next("t")
    first.put.clear()
    assert await first.asks(CONFIRM_HOOK) != ()
    assert await first.asks(ANSWER_HOOK, BRIEFING, key=ACCEPT_KEY) == ()
    assert await first.asks(CONFIRM_HOOK) == (Hangup(),)
    await first.persons.caller_gone()
    assert first.put == []
    assert first.finishes == []
    assert first.persons.patience == inf
    await second.persons.caller_gone()
    assert [finish.state for finish in second.finishes] == [TransferState.CALLER_ABANDONED]


async def test_while_the_database_is_away_it_goes_on_in_memory() -> None:
    first = Connection(Row(away=True), "s", warm())
    await first.persons.begin(first._take, wait=0.0, ahead=0.0)
    await first.asks(CONFIRM_HOOK)
    assert await first.asks(ANSWER_HOOK, BRIEFING, key=ACCEPT_KEY) == JOINS
    assert [finish.state for finish in first.finishes] == [TransferState.TRANSFERRED]


def _at(step: int) -> Place:
    return Place(ANSWER_HOOK, "s", 1, 1, step)


def test_the_verbs_of_a_person_end_with_a_hangup() -> None:
    for silence in (False, True):
        transfer = warm(silence=silence)
        transfer.begin(0)
        _, verbs = transfer.answered(1, SECOND)
        assert isinstance(verbs[-1], Hangup)
        assert steps(verbs) == ([BRIEFING, ASKING, REMINDING] if silence else [BRIEFING, ASKING])


def test_who_answers_late_is_hung_up_on() -> None:
    transfer = warm()
    transfer.begin(0)
    transfer.tick(41 * SECOND)
    follows, verbs = transfer.answered(1, 42 * SECOND)
    assert verbs == (Hangup(),)
    assert follows.verbs == ()


def test_somebody_who_cannot_be_dialled_is_passed_over() -> None:
    transfer = warm(persons=("nobody", BOB))
    begun = transfer.begin(0)
    assert transfer.attempt == 2
    assert isinstance(begun.verbs[1], Say)
    only = warm(persons=("nobody",), retries=0)
    finish = only.begin(0).finish
    assert finish is not None
    assert (finish.state, finish.reason) == (TransferState.RETURNED, TransferReason.INVALID_DESTINATION)


_EVENT = st.tuples(
    st.sampled_from(
        ["answered", "1", "2", "7", "none", "gone", "busy", "machine", "human", "tick", "caller", "bridged"]
    ),
    st.integers(0, 4),
    st.sampled_from([BRIEFING, ASKING, REMINDING]),
    st.integers(0, 20),
)


def _tell(transfer: JambonzWarm, event: tuple[str, int, int, int], at: int) -> list[Finish]:
    """The end that an event has led to, if it has."""
    what, attempt, step, _ = event
    place = Place(ANSWER_HOOK, "s", 1, attempt, step)
    match what:
        case "answered":
            follows, _ = transfer.answered(attempt, at)
        case "gone" | "busy":
            data = Dialed(dial_call_status="completed" if what == "gone" else "busy", dial_sip_status=486)
            follows = transfer.dialed(place, data, at)
        case "machine" | "human":
            follows = transfer.screened(place, Screened(type=f"amd_{what}_detected"), at)
        case "tick":
            follows = transfer.tick(at)
        case "caller":
            follows = transfer.caller_gone(at)
        case "bridged":
            follows = transfer.bridged(at)
        case _:
            pressed = Gathered(digits="" if what == "none" else what)
            follows = transfer.pressed(place, pressed, at)
    return [] if follows.finish is None else [follows.finish]


@given(st.lists(_EVENT, max_size=60), st.booleans(), st.integers(0, 3))
def test_in_any_order_there_is_one_end_and_nobody_is_joined_who_has_not_accepted(
    events: list[tuple[str, int, int, int]], silence: bool, retries: int
) -> None:
    transfer = warm(silence=silence, retries=retries)
    at, ends, accepted = 0, [end for end in [transfer.begin(0).finish] if end], False
    for event in events:
        at += event[3] * SECOND
        before = transfer.accepted
        live = event[0] == "1" and event[1] == transfer.attempt
        ends += _tell(transfer, event, at)
        if transfer.accepted and not before:
            assert live
            accepted = True
    for _ in range(200):
        if transfer.over:
            break
        at += 10 * SECOND
        end = transfer.tick(at).finish
        ends += [end] if end else []
    assert len(ends) == 1
    assert transfer.over
    assert transfer.due is None
    assert accepted or ends[0].state is not TransferState.TRANSFERRED
