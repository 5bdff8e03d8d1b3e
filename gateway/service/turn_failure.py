"""A turn's attempt has failed: it is tried again later, or the turn is over without an answer."""

from gateway.domain.clock import SECOND
from gateway.domain.conversation import SessionType
from gateway.domain.errors import ErrorCode, Fenced
from gateway.domain.fallback import NO_FALLBACKS, Fallbacks
from gateway.domain.message import Author
from gateway.domain.ports.store import Tx
from gateway.domain.simulation import Result
from gateway.domain.turn import Claim, TurnState
from gateway.service.dead import bury_turn
from gateway.service.interrupt import keep_broken_off
from gateway.service.respond import Finished, commit_turn, earlier_messages, settle_inputs
from gateway.service.simulate import advance
from gateway.service.speak import speak
from gateway.store.records import pack


async def postpone_turn(tx: Tx, claim: Claim, delay_seconds: int) -> None:
    """The attempt failed and will be repeated with the same turn id: let the lease go until then.

    Due half a second early, so that the doorbell's retry finds it due.
    """
    changed = await tx.run(
        "conversation_postpone_turn",
        id=claim.conversation.id,
        worker_id=claim.lease.worker_id,
        fence=claim.lease.fence,
        delay=delay_seconds * SECOND - SECOND // 2,
    )
    if not changed:
        raise Fenced(claim.turn_id)


async def fail_turn(
    tx: Tx,
    claim: Claim,
    error: ErrorCode,
    reason: str,
    partitions: int,
    fallbacks: Fallbacks = NO_FALLBACKS,
) -> Finished:
    """The turn is over without an answer: its input stays in the transcript, and the next turn may run.

    A turn that nobody waits for and that has used up its attempts becomes a dead letter, and the end user
    is told what is configured for that. A caller at a voice host is told at once; what they have heard of a
    reply stays in the transcript. Raises Fenced, Braked.
    """
    heard = () if claim.line is None else await keep_broken_off(tx, claim)
    row = await commit_turn(tx, claim, claim.conversation.status, added=0, events=0)
    await settle_inputs(tx, claim)
    seqs = (*await earlier_messages(tx, claim), *heard)
    state = TurnState.FAILED if claim.tells_caller else TurnState.DEAD
    await tx.later(
        "turn_finish",
        id=claim.turn_id,
        state=state.value,
        path=None,
        decision_source=None,
        text="",
        message_seqs=pack(seqs),
        last=None,
        session_status=claim.conversation.status.value,
        ttft_ms=None,
        evidence=None,
        intents=None,
        error=error.value,
        error_message=reason,
    )
    if state is TurnState.DEAD:
        await bury_turn(tx, claim, reason)
    text = await _told(tx, claim, state, fallbacks)
    if text:
        await speak(tx, claim.conversation, text, Author.SYSTEM)
    if claim.conversation.session_type is SessionType.SIMULATION:
        failed = Result(text="", path=None, session_status=claim.conversation.status.value, error=error.value)
        await advance(tx, claim.conversation, failed, partitions)
    return Finished(claim.conversation.status, seqs, more=row["lease_owner"] is not None)


async def _told(tx: Tx, claim: Claim, state: TurnState, fallbacks: Fallbacks) -> str | None:
    """What the end user is told, unless whoever waits for the turn tells them."""
    if state is TurnState.DEAD and fallbacks.failure_text is not None:
        return fallbacks.failure_text
    if claim.line is None or await tx.one("call_live", conversation_id=claim.conversation.id) is None:
        return None
    return fallbacks.apology
