"""Make the calls that we begin: claim, dial, record (rule 4).

An attempt is committed as `dialing` before the provider is asked. One whose outcome was not learnt is looked
for, alone, among the provider's calls, and dialled again only after it has left no trace there for some time.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from gateway.domain.clock import SECOND
from gateway.domain.conversation import Cause, Conversation, Status
from gateway.domain.message import Channel
from gateway.domain.outgoing_call import (
    DIALED_AT_MOST,
    LOOK_AT_LEAST_EVERY,
    LOOK_EVERY,
    CallState,
    Command,
    OutgoingCall,
)
from gateway.domain.ports.store import Row, Tx
from gateway.domain.quiet import HELD_AT_MOST, QuietHours, quiet_until, zones_of
from gateway.service.brake import stopped
from gateway.service.call_notes import CallNote, note_call
from gateway.service.close import Ending, end
from gateway.service.postings import ring_call
from gateway.service.suppress import suppressed
from gateway.store.records import conversation_of

QuietOf = Callable[[str], QuietHours | None]
"""When nobody is called unasked from a number of ours."""
_PATIENCE = LOOK_EVERY * SECOND


class Task(StrEnum):
    """What is to be done about a call now."""

    DIAL = "dial"
    FIND = "find"
    """Its outcome was not learnt: is it among the provider's?"""
    LOOK = "look"
    """Nothing was heard of it for long: how does it stand?"""
    TELL = "tell"


@dataclass(frozen=True, slots=True)
class CallTask:
    """What this worker alone does about a call, for the next LOOK_EVERY seconds at least."""

    task: Task
    call: OutgoingCall
    now: int
    command: Command | None = None

    @property
    def lost(self) -> bool:
        """Whether a provider that cannot be asked now need not be asked again."""
        return self.call.lost(self.now)


async def claim_call(
    tx: Tx, organization_id: str, conversation_id: str, quiet_of: QuietOf, partitions: int
) -> CallTask | None:
    """Take what is to be done about a call; None: nothing, or not now."""
    row = await tx.one("conversation_lock", organization_id=organization_id, id=conversation_id)
    stored = await tx.one("outgoing_call", conversation_id=conversation_id)
    if stored is None or stored["organization_id"] != organization_id:
        return None
    if stored["due_at"] is None or stored["due_at"] > stored["now"]:
        return None
    if row is None or row["archived_at"] is not None:
        return await _let_go(tx, stored)
    conversation = conversation_of(row)
    if CallState(stored["state"]) is not CallState.QUEUED:
        return await _look(tx, _call_of(conversation, stored), stored)
    if not await _may_dial(tx, conversation, stored, quiet_of, partitions):
        return None
    claimed = await tx.one("outgoing_call_claim", conversation_id=conversation_id, patience=_PATIENCE)
    if claimed is None:
        raise AssertionError("the conversation was locked in this unit")
    call = _call_of(conversation, stored)
    call = replace(
        call, state=CallState.DIALING, attempt=claimed["attempt"], claimed_at=claimed["claimed_at"]
    )
    return CallTask(Task.DIAL, call, stored["now"])


async def _let_go(tx: Tx, stored: Row) -> CallTask | None:
    """The person was erased, or the conversation deleted: nobody is called, and who is, is hung up on."""
    call = _call_of(None, stored)
    if stored["command"] is not None and not call.lost(stored["now"]):
        return await _look(tx, call, stored)
    await _over(tx, stored["conversation_id"], CallState.FAILED)
    await tx.run("outgoing_calls_purge", id=stored["conversation_id"], limit=1)
    return None


async def _look(tx: Tx, call: OutgoingCall, stored: Row) -> CallTask | None:
    silent = 0 if call.call_id is None else call.silent_for(stored["now"])
    patience = max(LOOK_EVERY, min(LOOK_AT_LEAST_EVERY, silent // 2)) * SECOND
    if await tx.one("outgoing_call_look", conversation_id=call.conversation_id, patience=patience) is None:
        return None
    command = stored["command"]
    if command is not None:
        return CallTask(Task.TELL, call, stored["now"], Command(command))
    task = Task.FIND if call.state is CallState.DIALING else Task.LOOK
    return CallTask(task, call, stored["now"])


async def _may_dial(
    tx: Tx, conversation: Conversation, stored: Row, quiet_of: QuietOf, partitions: int
) -> bool:
    """Whether somebody is called now; what can never be is over with this, and what has to wait waits."""
    ours, theirs = conversation.our_address or "", conversation.their_address or ""
    if conversation.status.terminal:
        await _over(tx, conversation.id, CallState.CANCELED)
        return False
    if stored["expires_at"] <= stored["now"]:
        await _fail(tx, conversation, "expired", partitions)
        return False
    if await stopped(tx, conversation.organization_id, conversation.assigned_agent_id):
        return False  # it is rung for again once the brake is lifted
    if await suppressed(tx, conversation.organization_id, Channel.VOICE, ours, theirs):
        await _fail(tx, conversation, "suppressed", partitions)
        return False
    quiet = quiet_of(ours)
    until = None if quiet is None else quiet_until(stored["now"], zones_of(theirs), quiet)
    if until is None:
        return True
    await tx.run(
        "outgoing_call_hold",
        conversation_id=conversation.id,
        until=until,
        expires_at=until + HELD_AT_MOST,
    )
    await tx.run("conversation_wait_until", id=conversation.id, until=until)
    return False


async def dial_again(
    tx: Tx, call: OutgoingCall, *, delay_seconds: float, reason: str, at_most: int, partitions: int
) -> None:
    """An attempt was not taken: it is made again after a delay, or, after `at_most`, given up for `reason`.

    Nothing happens where the provider turned out to have it after all.
    """
    row = await tx.one("conversation_lock", organization_id=call.organization_id, id=call.conversation_id)
    if row is None:
        return
    delay = int(delay_seconds * SECOND)
    again = await tx.one(
        "outgoing_call_again", conversation_id=call.conversation_id, attempt=call.attempt, delay=delay
    )
    if again is None:
        return
    if call.attempt >= at_most:
        await _fail(tx, conversation_of(row), reason, partitions)
    elif not delay:
        await ring_call(
            tx,
            organization_id=call.organization_id,
            conversation_id=call.conversation_id,
            at=again["due_at"],
        )


async def find_again(tx: Tx, call: OutgoingCall, partitions: int) -> None:
    """An attempt has left no trace for long enough: it is made again, or, after DIALED_AT_MOST, given up."""
    await dial_again(
        tx, call, delay_seconds=0, reason="not_taken", at_most=DIALED_AT_MOST, partitions=partitions
    )


async def fail_call(tx: Tx, call: OutgoingCall, reason: str, partitions: int) -> None:
    """The attempt will never be taken. Nothing happens where the provider turned out to have it after all."""
    row = await tx.one("conversation_lock", organization_id=call.organization_id, id=call.conversation_id)
    stored = await tx.one("outgoing_call", conversation_id=call.conversation_id)
    if row is not None and stored is not None and stored["call_id"] is None:
        await _fail(tx, conversation_of(row), reason, partitions)


async def told(tx: Tx, call: OutgoingCall, command: Command) -> None:
    """The provider was told; what came of it is looked at later, should nobody say."""
    if call.call_id is not None:
        await obeyed(tx, call.conversation_id, call.call_id, command)


async def obeyed(tx: Tx, conversation_id: str, call_id: str, command: Command) -> None:
    """The same, where the call itself shows that it does what it was told."""
    await tx.run(
        "outgoing_call_told",
        conversation_id=conversation_id,
        call_id=call_id,
        command=command.value,
        wait=3 * _PATIENCE,
    )


async def _fail(tx: Tx, conversation: Conversation, reason: str, partitions: int) -> None:
    await _over(tx, conversation.id, CallState.FAILED)
    if conversation.status in (Status.QUEUED, Status.RINGING):
        await fail_conversation(tx, conversation, reason, partitions)


async def fail_conversation(tx: Tx, conversation: Conversation, reason: str, partitions: int) -> None:
    """A call that nobody has answered is over: so is its conversation, which this unit has locked."""
    event = {"kind": "call.ended", "direction": "outbound", "reason": reason}
    await note_call(tx, conversation.id, CallNote(f"Call failed: {reason}.", event))
    await end(tx, conversation, Ending(Status.ERROR, Cause.HOST, reason), partitions)


async def _over(tx: Tx, conversation_id: str, state: CallState) -> None:
    await tx.run("outgoing_call_over", conversation_id=conversation_id, state=state.value, rank=state.rank)


def _call_of(conversation: Conversation | None, stored: Row) -> OutgoingCall:
    ours = theirs = None
    if conversation is not None:
        ours, theirs = conversation.our_address, conversation.their_address
    return OutgoingCall(
        conversation_id=stored["conversation_id"],
        organization_id=stored["organization_id"],
        ours=ours or "",
        theirs=theirs or "",
        state=CallState(stored["state"]),
        attempt=stored["attempt"],
        claimed_at=stored["claimed_at"] or 0,
        call_id=stored["call_id"],
        provider=stored["provider"],
        answered_at=stored["answered_at"],
    )
