"""What a provider says of a call that we begin: how far it has come, and who has answered."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from gateway.domain.call_rules import CallRules, OnMachine
from gateway.domain.clock import SECOND
from gateway.domain.conversation import Cause, Conversation, Status
from gateway.domain.message import Channel
from gateway.domain.outgoing_call import AnsweredBy, AnsweredReport, CallReport, CallState, Command, Standing
from gateway.domain.ports.store import Tx
from gateway.service.call_notes import CallNote, note_call, note_once
from gateway.service.call_over import call_over
from gateway.service.call_status import climb
from gateway.service.calls import command_call
from gateway.service.close import Ending, end
from gateway.service.dial import fail_conversation
from gateway.service.forgotten import forgotten_among, leave_trace
from gateway.store.records import conversation_of, pack

RulesOf = Callable[[str], CallRules]
"""What holds for the calls of a number of ours."""
NOT_OURS = Standing(ours=False)
_RINGS = 120 * SECOND
"""After which a call that was not answered is looked at unasked, µs."""
_TALKS = 600 * SECOND
"""The same of one that was."""


async def report_call(
    tx: Tx, organization_id: str, report: CallReport, rules_of: RulesOf, partitions: int
) -> Standing:
    """Take a report in. Idempotent; whatever the order, a call only goes forward."""
    row = await tx.one("conversation_lock", organization_id=organization_id, id=report.conversation_id)
    stored = await tx.one("outgoing_call", conversation_id=report.conversation_id)
    if row is None or stored is None:
        return NOT_OURS
    conversation = conversation_of(row)
    bound = stored["call_id"] is not None
    if bound and stored["call_id"] != report.call_id:
        await leave_trace(tx, organization_id, report.call_id)  # it is nobody else's either
        return replace(NOT_OURS, doubled=True)
    if not bound:
        await _bind(tx, conversation, report)
    if report.state is CallState.UNKNOWN:
        await tx.run("outgoing_call_raw", conversation_id=report.conversation_id, raw_state=report.raw)
    news = await _advance(tx, report)
    if conversation.status.terminal and not report.state.over and (news or not bound):
        await command_call(tx, conversation.id, Command.HANG_UP)  # it was ended while it was being dialled
    elif news:
        rules = rules_of(conversation.our_address or "")
        conversation = await _follow(tx, conversation, report, rules, partitions)
    return Standing(ours=True, status=conversation.status, first_message=stored["first_message"], news=news)


async def _bind(tx: Tx, conversation: Conversation, report: CallReport) -> None:
    """The first we hear of the provider's name of the call: what comes of it finds its conversation."""
    await tx.run(
        "outgoing_call_bind",
        conversation_id=conversation.id,
        provider=report.provider,
        call_id=report.call_id,
    )
    await tx.run("conversation_bind_call", id=conversation.id, thread_key=f"{Channel.VOICE}|{report.call_id}")
    await tx.run(
        "call_insert",
        provider=report.provider,
        call_id=report.call_id,
        organization_id=conversation.organization_id,
        conversation_id=conversation.id,
        host_id=None,
        transport="pstn",
        capabilities=pack([]),
    )


async def _advance(tx: Tx, report: CallReport) -> bool:
    """Whether this is news."""
    state = report.state
    wait = None if state.over else _TALKS if state.connected else _RINGS
    news = await tx.run(
        "outgoing_call_report",
        conversation_id=report.conversation_id,
        state=state.value,
        rank=state.rank,
        raw_state=report.raw,
        wait=wait,
        connected=state.connected,
    )
    return bool(news)


async def _follow(
    tx: Tx, conversation: Conversation, report: CallReport, rules: CallRules, partitions: int
) -> Conversation:
    """What news of a call means for its conversation, which this unit has locked."""
    state = report.state
    if state is CallState.RINGING:
        return await climb(tx, conversation, Status.RINGING)
    before = conversation
    if state.connected:
        conversation = await climb(tx, conversation, Status.ACTIVE)
        if conversation.status is not before.status:
            await tx.run("conversation_connected", id=conversation.id)
    if not state.over:
        return conversation
    await tx.run("call_end", provider=report.provider, call_id=report.call_id)
    if conversation.status in (Status.QUEUED, Status.RINGING):
        reason = report.raw if state is CallState.FAILED else state.value
        await fail_conversation(tx, conversation, reason, partitions)
        return replace(conversation, status=Status.ERROR)
    ended = {"kind": "call.ended", "call_id": report.call_id, "reason": report.raw}
    note = CallNote("Call ended.", ended)
    event = (report.provider, f"{report.call_id}:end")
    await note_once(tx, conversation.organization_id, event, conversation.id, note)
    await call_over(tx, conversation, rules, partitions)
    return conversation


async def note_answered_by(
    tx: Tx, organization_id: str, report: AnsweredReport, rules_of: RulesOf, partitions: int
) -> None:
    """Machine detection has come to a result: it is noted, and what is configured for a machine is done."""
    row = await tx.one("conversation_lock", organization_id=organization_id, id=report.conversation_id)
    if row is None or not await tx.run(
        "outgoing_call_answered_by",
        conversation_id=report.conversation_id,
        call_id=report.call_id,
        answered_by=report.who.value,
    ):
        return
    conversation = conversation_of(row)
    metadata = pack(conversation.metadata | {"answered_by": report.who.value})
    await tx.run("conversation_annotate", id=conversation.id, metadata=metadata)
    event = {
        "kind": "call.answered_by",
        "call_id": report.call_id,
        "answered_by": report.who.value,
        "raw": report.raw,
    }
    await note_call(tx, conversation.id, CallNote(f"Answered by: {report.who}.", event))
    on_machine = rules_of(conversation.our_address or "").on_machine
    if not report.who.mechanical or conversation.status.terminal or on_machine in (None, OnMachine.GO_ON):
        return
    if on_machine is OnMachine.LEAVE_MESSAGE and report.who is AnsweredBy.MACHINE:
        await command_call(tx, conversation.id, Command.LEAVE_MESSAGE)
        return
    await end(tx, conversation, Ending(Status.CLOSED, Cause.CLOSE, "a machine answered"), partitions)


async def bound_calls(tx: Tx, organization_id: str, ids: Sequence[str]) -> set[str]:
    """Which of a provider's calls belong, or have belonged, to conversations already."""
    bound = {row["call_id"] for row in await tx.all("outgoing_calls_bound", ids=list(ids))}
    return bound | await forgotten_among(tx, organization_id, ids)
