"""Whoever makes the calls that we begin: one attempt, looked for where its outcome was lost."""

from collections import deque
from dataclasses import dataclass, field

import pytest

from gateway.domain.call_rules import CallRules
from gateway.domain.clock import SECOND, Clock
from gateway.domain.delivery import Failure, OutcomeUnknown, Refused, SendOutcome, Taken
from gateway.domain.envelope import Envelope
from gateway.domain.ids import new_id
from gateway.domain.outgoing_call import (
    LOOK_AT_LEAST_EVERY,
    LOOK_EVERY,
    LOST_AFTER,
    UNKNOWN_AT_MOST,
    CallState,
    Command,
    Found,
    OutgoingCall,
)
from gateway.domain.ports.bus import DONE, Ack
from gateway.domain.ports.store import Row, Tx
from gateway.service.begin_call import NewOutgoingCall, begin_call
from gateway.service.call_reports import StoredCallReports
from gateway.service.close import close
from gateway.service.erase import request_erasure
from gateway.service.purge import purge
from tests.contract import scene
from tests.contract.conftest import MovableStore as Store
from tests.contract.scene import ORGANIZATION, OURS, PARTITIONS, ROUTE, THEIRS
from workers.calls import NO_CALLER, CallWorker
from workers.liveness import Liveness

SID, OTHER = "CA" + "1" * 32, "CA" + "2" * 32
NOTHING = OutcomeUnknown("no answer")


@dataclass
class Provider:
    """A provider of calls that answers by a script; after that, as if it had no calls."""

    provider: str = "twilio"
    dials: deque[SendOutcome] = field(default_factory=deque)
    finds: deque[Found | OutcomeUnknown | None] = field(default_factory=deque)
    looks: deque[Found | OutcomeUnknown | None] = field(default_factory=deque)
    looked: int = 0
    tells: deque[SendOutcome] = field(default_factory=deque)
    dialed: list[OutgoingCall] = field(default_factory=list)
    told: list[tuple[str | None, Command]] = field(default_factory=list)

    async def dial(self, call: OutgoingCall, timeout: float) -> SendOutcome:
        """Begin a call."""
        self.dialed.append(call)
        return self.dials.popleft()

    async def find(self, call: OutgoingCall) -> Found | OutcomeUnknown | None:
        """Whether it is there."""
        return self.finds.popleft() if self.finds else None

    async def look(self, call_id: str) -> Found | OutcomeUnknown | None:
        """How it stands."""
        self.looked += 1
        return self.looks.popleft() if self.looks else NOTHING

    async def tell(self, call: OutgoingCall, command: Command, timeout: float) -> SendOutcome:
        """A command."""
        self.told.append((call.call_id, command))
        return self.tells.popleft() if self.tells else Taken(call.call_id or "")

    async def close(self) -> None:
        """Nothing is open."""


class Office:
    """A worker, its provider, and one call that is wanted."""

    def __init__(self, store: Store, conversation_id: str, provider: Provider | None) -> None:
        liveness = Liveness(store, Clock(), roles="deliveries")
        liveness._believed_from = float("inf")
        reports = StoredCallReports(
            store, lambda _number: CallRules(), organization_id=ORGANIZATION, partitions=PARTITIONS
        )
        self.store, self.id = store, conversation_id
        self.provider = provider or Provider()
        self.worker = CallWorker(
            store, lambda _call: provider, reports, liveness, lambda _number: None, PARTITIONS
        )

    async def ring(self, after: float = 0) -> None:
        """The call's bell rings, so many seconds later."""
        self.store.advance(after)
        bell = Envelope(
            id=new_id(),
            type="call.due",
            occurred_at="2026-11-26T00:00:00Z",
            organization_id=ORGANIZATION,
            conversation_id=self.id,
            data={},
        )
        assert await self.worker.consume(bell) == DONE

    async def status(self) -> str:
        """That of its conversation."""
        return str((await scene.conversation(self.store, self.id))["status"])

    async def transcript(self) -> list[str]:
        """What its transcript has."""
        return [m["content"] for m in await scene.rows(self.store, "test_messages", id=self.id)]

    async def state(self) -> str:
        """How far the call is."""
        (row,) = await scene.rows(self.store, "test_outgoing_call", id=self.id)
        return str(row["state"])

    async def due_in(self) -> int:
        """Seconds until somebody has to look at it."""
        stored = await self.store.read(_stored, self.id)
        return int(-((stored["now"] - stored["due_at"]) // SECOND))


async def _stored(tx: Tx, conversation_id: str) -> Row:
    row = await tx.one("outgoing_call", conversation_id=conversation_id)
    assert row is not None
    return row


async def office_of(store: Store, provider: Provider | None) -> Office:
    """The same with a new call."""
    wish = NewOutgoingCall(
        end_user_id=None,
        their_address=THEIRS,
        our_address=OURS,
        first_message=None,
        metadata={},
        context_variables={},
    )
    return Office(store, (await store.write(begin_call, wish, ROUTE)).id, provider)


@pytest.fixture
async def office(store: Store) -> Office:
    """One with a provider."""
    return await office_of(store, Provider())


async def test_a_call_is_dialled_once(office: Office) -> None:
    office.provider.dials.append(Taken(SID))
    for _ in range(3):
        await office.ring()
    assert [call.theirs for call in office.provider.dialed] == [THEIRS]
    assert await office.state() == "initiated"


async def test_a_lost_answer_is_looked_for_and_found(office: Office) -> None:
    office.provider.dials.append(NOTHING)
    await office.ring()
    await office.ring(LOOK_EVERY - 1)  # its request may still be on the way
    office.provider.finds.append(Found(SID, CallState.RINGING, "ringing"))
    await office.ring(2)
    assert len(office.provider.dialed) == 1
    assert await office.status() == "ringing"


async def test_a_lost_request_is_made_again_once_it_has_left_no_trace(office: Office) -> None:
    office.provider.dials.extend([NOTHING, Taken(SID)])
    await office.ring()
    await office.ring(LOOK_EVERY)
    assert len(office.provider.dialed) == 1
    await office.ring(LOOK_EVERY)
    await office.ring()
    assert [call.attempt for call in office.provider.dialed] == [1, 2]


async def test_a_provider_that_cannot_be_asked_is_not_asked_for_a_second_call(office: Office) -> None:
    office.provider.dials.append(NOTHING)
    office.provider.finds.extend([NOTHING, NOTHING])
    await office.ring()
    await office.ring(LOOK_EVERY)
    assert await office.status() == "queued"
    await office.ring(UNKNOWN_AT_MOST)
    assert await office.transcript() == ["Call failed: unknown."]
    assert len(office.provider.dialed) == 1


async def test_the_second_of_two_calls_is_hung_up_at_once(office: Office) -> None:
    office.provider.dials.extend([NOTHING, Taken(OTHER)])
    await office.ring()
    await office.ring(LOOK_EVERY)
    await office.ring(LOOK_EVERY)

    async def meanwhile(call: OutgoingCall, timeout: float) -> SendOutcome:
        """The first one turns out to be there while the second is begun."""
        await office.worker._report(office.provider, call, Found(SID, CallState.RINGING, "ringing"))
        return Taken(OTHER)

    office.provider.dial = meanwhile  # type: ignore[method-assign]
    await office.ring()
    assert office.provider.told == [(OTHER, Command.HANG_UP)]
    assert await office.status() == "ringing"


async def test_what_is_refused_for_now_is_tried_later_and_for_good_never(store: Store) -> None:
    office = await office_of(store, Provider())
    for_now, for_good = Refused(Failure.TRANSIENT, "20429", 7), Refused(Failure.PERMANENT, "21217")
    office.provider.dials.extend([for_now, for_good])
    await office.ring()
    await office.ring(6)
    assert len(office.provider.dialed) == 1
    await office.ring(1)
    assert await office.transcript() == ["Call failed: 21217."]
    assert await office.status() == "error"
    nobody = await office_of(store, None)
    await nobody.ring()
    assert await nobody.transcript() == [f"Call failed: {NO_CALLER}."]


async def test_a_call_of_which_nothing_is_heard_is_looked_at(office: Office) -> None:
    office.provider.dials.append(Taken(SID))
    await office.ring()
    office.provider.looks.extend([NOTHING, Found(SID, CallState.NO_ANSWER, "no-answer")])
    await office.ring(120)
    assert await office.status() == "queued"
    await office.ring(60)
    assert await office.transcript() == ["Call failed: no_answer."]


async def test_a_call_that_its_provider_does_not_know_any_more_is_over(office: Office) -> None:
    """Once, whether or not somebody has answered it."""
    office.provider.dials.append(Taken(SID))
    await office.ring()
    office.provider.looks.append(None)
    await office.ring(120)
    for _ in range(3):
        await office.ring(LOOK_AT_LEAST_EVERY)
    assert office.provider.looked == 1
    assert await office.transcript() == ["Call failed: unknown."]
    assert await office.status() == "error"


async def test_a_call_that_is_gone_after_it_was_answered_closes_its_conversation(office: Office) -> None:
    office.provider.dials.append(Taken(SID))
    await office.ring()
    office.provider.looks.extend([Found(SID, CallState.ANSWERED, "in-progress"), None])
    await office.ring(120)
    assert await office.status() == "active"
    await office.ring(600)
    assert await office.transcript() == ["Call ended."]
    assert await office.status() == "closed"


@pytest.mark.parametrize("configured", [True, False])
async def test_a_call_of_which_nobody_can_tell_is_looked_at_ever_less_and_given_up(
    office: Office, configured: bool
) -> None:
    """Its provider does not answer, or is no more ours to ask."""
    office.provider.dials.append(Taken(SID))
    await office.ring()
    if not configured:
        office.worker._caller_of = lambda _call: None
    gaps: list[int] = []
    while sum(gaps) < 3600:
        gaps.append(await office.due_in())
        await office.ring(gaps[-1])
    assert min(gaps) > LOOK_EVERY
    assert LOOK_AT_LEAST_EVERY / 2 < gaps[-1] <= LOOK_AT_LEAST_EVERY
    assert await office.status() == "queued"
    for _ in range(3):
        await office.ring(LOST_AFTER)
    assert office.provider.looked == (len(gaps) + 1 if configured else 0)
    assert await office.transcript() == ["Call failed: unknown."]


async def test_who_cannot_be_hung_up_on_for_a_day_is_gone(office: Office) -> None:
    office.provider.dials.append(Taken(SID))
    await office.ring()
    await office.store.write(close, ORGANIZATION, office.id, "changed my mind", PARTITIONS)
    office.provider.tells.extend([NOTHING, NOTHING])
    await office.ring()
    await office.ring(LOST_AFTER)
    await office.ring(LOST_AFTER)
    assert office.provider.told == [(SID, Command.HANG_UP)] * 2
    assert await office.state() == "failed"


async def test_a_command_is_told_until_it_is_taken(office: Office) -> None:
    office.provider.dials.append(Taken(SID))
    await office.ring()
    await office.store.write(close, ORGANIZATION, office.id, "changed my mind", PARTITIONS)
    office.provider.tells.append(NOTHING)
    await office.ring()
    await office.ring()
    await office.ring(LOOK_EVERY)
    await office.ring()
    assert office.provider.told == [(SID, Command.HANG_UP)] * 2


async def test_who_is_erased_during_a_call_is_hung_up_on(office: Office) -> None:
    office.provider.dials.append(Taken(SID))
    await office.ring()
    person = (await scene.conversation(office.store, office.id))["end_user_id"]
    await office.store.write(request_erasure, ORGANIZATION, person, PARTITIONS)
    await office.ring()
    assert office.provider.told == [(SID, Command.HANG_UP)]
    await office.ring(3 * LOOK_EVERY)
    assert await scene.rows(office.store, "test_outgoing_call", id=office.id) == []


async def test_who_is_erased_before_their_call_is_not_called(office: Office) -> None:
    person = (await scene.conversation(office.store, office.id))["end_user_id"]
    await office.store.write(request_erasure, ORGANIZATION, person, PARTITIONS)
    await office.ring()
    assert office.provider.dialed == []
    assert await scene.rows(office.store, "test_outgoing_call", id=office.id) == []


async def test_a_call_outlives_its_conversation_until_it_was_hung_up(office: Office) -> None:
    office.provider.dials.append(Taken(SID))
    await office.ring()
    await office.store.write(close, ORGANIZATION, office.id, "changed my mind", PARTITIONS)
    await purge(office.store, ORGANIZATION, office.id)
    office.provider.tells.append(NOTHING)
    await office.ring()
    await office.ring(LOOK_EVERY)
    assert office.provider.told == [(SID, Command.HANG_UP)] * 2
    await office.ring(3 * LOOK_EVERY)
    assert await scene.rows(office.store, "test_outgoing_call", id=office.id) == []


async def test_what_is_no_bell_is_a_dead_letter(office: Office) -> None:
    letter = Envelope(id=new_id(), type="turn.due", occurred_at="2026-11-26T00:00:00Z", data={})
    assert (await office.worker.consume(letter)).ack is Ack.DEAD
