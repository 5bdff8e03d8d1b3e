"""Who does not want to be written to: a ledger of what people said, and what is in force because of it.

The ledger only grows: each wish with where it came from, for each pair of our address and theirs. What is in
force is the suppressions, which the delivery workers ask at the moment of sending.
"""

from dataclasses import dataclass

from gateway.domain.consent import ConsentRules, ConsentSource, ConsentState, Evidence, Keyword
from gateway.domain.conversation import Conversation
from gateway.domain.ids import new_id
from gateway.domain.message import Author, Channel
from gateway.domain.ports.store import Row, Tx
from gateway.service.browse import Page, Position, newest_page, of_address
from gateway.service.speak import speak
from gateway.service.suppress import lift, lift_by_start, suppress, suppression

LONGEST_DETAIL = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """An entry of the ledger. `our_address` may be `suppress.ANY`; `created_at` in µs."""

    id: str
    channel: Channel
    our_address: str
    their_address: str
    state: ConsentState
    evidence: Evidence
    created_at: int


async def revoke(
    tx: Tx, organization_id: str, channel: Channel, pair: tuple[str, str], evidence: Evidence
) -> bool:
    """Send nothing from ours to theirs (`pair`) any more; False where that was so before."""
    await _enter(tx, organization_id, channel, pair, ConsentState.OPTED_OUT, evidence)
    source = evidence.source
    return await suppress(tx, organization_id, channel, pair, source.value, firm=source.firm)


async def _revoke_all(
    tx: Tx, conversation: Conversation, pair: tuple[str, str], evidence: Evidence, texts: ConsentRules
) -> bool:
    """The same for all of our numbers that are one sender; False where that was so before."""
    ours, theirs = pair
    changed = [
        await revoke(tx, conversation.organization_id, conversation.channel, (one, theirs), evidence)
        for one in texts.senders or (ours,)
    ]
    return any(changed)


async def _start_all(
    tx: Tx, conversation: Conversation, pair: tuple[str, str], evidence: Evidence, texts: ConsentRules
) -> bool:
    ours, theirs = pair
    changed = [
        await start_again(tx, conversation.organization_id, conversation.channel, (one, theirs), evidence)
        for one in texts.senders or (ours,)
    ]
    return any(changed)


async def start_again(
    tx: Tx, organization_id: str, channel: Channel, pair: tuple[str, str], evidence: Evidence
) -> bool:
    """A START: take back what a keyword did, and only that; False where there was nothing to take back."""
    await _enter(tx, organization_id, channel, pair, ConsentState.OPTED_IN, evidence)
    return await lift_by_start(tx, organization_id, channel, pair)


async def take_back(tx: Tx, organization_id: str, suppression_id: str, evidence: Evidence) -> bool:
    """An operator lifts a suppression, whatever it came from; False for one that is not in force.

    One that holds because of another address of the person goes with that one's. The ledger has wishes only:
    that mail to an address came back was none.
    """
    found = await suppression(tx, organization_id, suppression_id)
    if found is None or found.derived:
        return False
    pair = (found.our_address, found.their_address)
    if found.wished:
        await _enter(tx, organization_id, found.channel, pair, ConsentState.OPTED_IN, evidence)
    return await lift(tx, organization_id, found.channel, pair)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for by a keyword, and where that stands."""

    keyword: Keyword
    evidence: Evidence
    told: bool
    """Whether the provider answers it."""


async def follow_keyword(tx: Tx, conversation: Conversation, wish: Wish, texts: ConsentRules) -> None:
    """Do what a keyword asks for, and say so once where nobody else does. The conversation is locked."""
    ours, theirs = conversation.our_address, conversation.their_address
    if ours is None or theirs is None:
        return
    where = (tx, conversation, (ours, theirs), wish.evidence, texts)
    text: str | None = texts.help
    if wish.keyword is Keyword.STOP:
        text = texts.stop if await _revoke_all(*where) else None
    elif wish.keyword is Keyword.START:
        text = texts.start if await _start_all(*where) else None
    if text is not None and not wish.told:
        await speak(tx, conversation, text, Author.SYSTEM, despite_suppression=True)


async def revoke_for_agent(
    tx: Tx, conversation: Conversation, message_id: str | None, texts: ConsentRules
) -> None:
    """An agent understood that the person wants no more messages; they are told once that there will be none.

    Nothing to do on channels that write to no address. The conversation is locked by the caller.
    """
    ours, theirs = conversation.our_address, conversation.their_address
    if ours is None or theirs is None:
        return
    evidence = Evidence(source=ConsentSource.AGENT, conversation_id=conversation.id, message_id=message_id)
    is_new = await _revoke_all(tx, conversation, (ours, theirs), evidence, texts)
    if is_new and conversation.channel is Channel.SMS:
        await speak(tx, conversation, texts.stop, Author.SYSTEM, despite_suppression=True)


async def consents_page(
    tx: Tx, organization_id: str, of: tuple[Channel, str] | None, after: Position | None, limit: int
) -> Page[Consent]:
    """The ledger, newest first, of one address of theirs or of all."""
    query, chosen = of_address("consents_page", of)
    return await newest_page(tx, query, _consent, after, limit, organization_id=organization_id, **chosen)


async def _enter(
    tx: Tx,
    organization_id: str,
    channel: Channel,
    pair: tuple[str, str],
    state: ConsentState,
    evidence: Evidence,
) -> None:
    await tx.later(
        "consent_insert",
        id=new_id(),
        organization_id=organization_id,
        channel=channel.value,
        our_address=pair[0],
        their_address=pair[1],
        state=state.value,
        source=evidence.source.value,
        detail=None if evidence.detail is None else evidence.detail[:LONGEST_DETAIL],
        actor=evidence.actor,
        conversation_id=evidence.conversation_id,
        message_id=evidence.message_id,
    )


def _consent(row: Row) -> Consent:
    return Consent(
        id=row["id"],
        channel=Channel(row["channel"]),
        our_address=row["our_address"],
        their_address=row["their_address"],
        state=ConsentState(row["state"]),
        evidence=Evidence(
            source=ConsentSource(row["source"]),
            detail=row["detail"],
            actor=row["actor"],
            conversation_id=row["conversation_id"],
            message_id=row["message_id"],
        ),
        created_at=row["created_at"],
    )
