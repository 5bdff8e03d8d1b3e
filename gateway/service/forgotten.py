"""What is still told of somebody who was erased, or of a conversation that was deleted: it is left out.

A provider tells the end of a call, the outcome of a transfer, or a machine answers a mail of ours, when the
person may be no more. To accept that would make them anew, with a conversation in which nothing was said. So
a call leaves a trace that names nobody; mail of ours names its conversation under a MAC. What a person says
themselves is never left out: they are somebody new then.
"""

from collections.abc import Sequence
from hashlib import sha256

from gateway.domain.clock import SECOND
from gateway.domain.message import Accepted, Channel, InboundMessage, Role
from gateway.domain.ports.store import Row, Tx

KEPT = 30 * 86_400 * SECOND
"""How long a trace of a call is kept, µs: as long as a provider's message is known as a duplicate."""
CALLS = 200
"""Of one conversation, the newest, that leave a trace."""
_THREAD = f"{Channel.VOICE}|"


async def leave_traces(tx: Tx, conversation: Row) -> None:
    """A conversation is about to be forgotten: whatever comes of its calls from now on is left out."""
    if conversation["channel"] != Channel.VOICE:
        return
    calls = await tx.all("calls_newest", conversation_id=conversation["id"], limit=CALLS)
    names = {call["call_id"] for call in calls}
    if conversation["thread_key"] is not None:
        # a call whose end has overtaken its beginning has no row
        names.add(conversation["thread_key"].removeprefix(_THREAD))
    organization_id = conversation["organization_id"]
    traces = [{"organization_id": organization_id, "call_hash": _hash(name)} for name in sorted(names)]
    await tx.many("forgotten_call_insert", traces)


async def leave_trace(tx: Tx, organization_id: str, call_id: str) -> None:
    """Whatever comes of one call is left out."""
    trace = {"organization_id": organization_id, "call_hash": _hash(call_id)}
    await tx.run("forgotten_call_insert", **trace)


async def forgotten_among(tx: Tx, organization_id: str, call_ids: Sequence[str]) -> set[str]:
    """Those of these calls that have left a trace."""
    names = {_hash(name): name for name in call_ids}
    rows = await tx.all("forgotten_calls_among", organization_id=organization_id, hashes=list(names))
    return {names[row["call_hash"]] for row in rows}


async def is_forgotten_call(tx: Tx, organization_id: str, call_id: str) -> bool:
    """Whether a call, by its host's name of it, is one of a conversation that was forgotten."""
    trace = {"organization_id": organization_id, "call_hash": _hash(call_id)}
    return await tx.one("forgotten_call", **trace) is not None


async def is_left_over(tx: Tx, organization_id: str, message: InboundMessage) -> bool:
    """Whether a message is nobody's own words, and tells of somebody who is no more."""
    if message.role is Role.USER:
        return False
    if message.channel is Channel.VOICE and message.thread_key is not None:
        place = {"organization_id": organization_id, "thread_key": f"{_THREAD}{message.thread_key}"}
        for query in ("conversation_of_thread", "conversation_ended_before"):
            row = await tx.one(query, **place)
            if row is not None:
                return await _is_erased(tx, row["id"])
        return await is_forgotten_call(tx, organization_id, message.thread_key)
    if message.channel is Channel.EMAIL and message.conversation_id is not None:
        return await _is_erased(tx, message.conversation_id, gone=True)
    return False


def left_out(message_id: str) -> Accepted:
    """What becomes of it."""
    return Accepted(
        conversation_id="",
        message_id=message_id,
        end_user_id="",
        duplicate=False,
        turn_expected=False,
        left_out=True,
    )


async def _is_erased(tx: Tx, conversation_id: str, *, gone: bool = False) -> bool:
    """Whether a conversation's person is; `gone`: what is said of one that is not there."""
    row = await tx.one("conversation_person", id=conversation_id)
    return gone if row is None else row["erased_at"] is not None


def _hash(call_id: str) -> str:
    return sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()
