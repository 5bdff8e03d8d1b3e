"""A person is erased: whatever was said, kept or sent of them is deleted, over all records merged into one.

The request does what others could see: a tombstone instead of the person, no addresses, silence. A row of
`erasures` holds what is left to do. Timers take it in steps that each leave it true, so whoever is killed in
between, the next one goes on. What stays is the tombstone, the counts of analytics, de-duplication keys, and
the addresses that must not be written to with when that was asked for: a wish to be left alone outlives the
person's record.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.clock import SECOND
from gateway.domain.conversation import Cause, Status
from gateway.domain.errors import Unavailable
from gateway.domain.identity import KIND_OF_CHANNEL, Address, ContactKind
from gateway.domain.ports.store import Row, Tx
from gateway.domain.quotes import Quotes
from gateway.service.close import Ending, end
from gateway.service.contents import ROWS, delete_contents
from gateway.service.forgotten import leave_traces
from gateway.service.identify import Person
from gateway.service.people import known_person
from gateway.service.suppress import keep_suppressions
from gateway.store.records import conversation_of, pack, unpack

AT_ONCE = 10
"""Open conversations that the request itself ends; the steps end the rest."""
GRACE = 3600 * SECOND
"""After so long, µs, it is looked for once more: what units of work beside the request have stored, and
messages on the queues that became dead letters. Then the addresses are forgotten too."""
LETTERS = 20
"""Dead letters looked through in one step."""
_FIRST = "00000000-0000-0000-0000-000000000000"
_REASON = "the end user was erased"


@dataclass(frozen=True, slots=True)
class Step:
    """What a step did."""

    end_user_id: str
    finished: bool
    """Nothing is left to do for this person."""


async def request_erasure(tx: Tx, organization_id: str, end_user_id: str, partitions: int) -> None:
    """Make a tombstone of the person a record is of, silence what is open, and have the rest deleted.

    Nothing for one that was erased before. Raises GatewayError `not_found`.
    """
    person = await _locked_person(tx, organization_id, end_user_id)
    if person.erased:
        return
    records = list(person.records)
    contacts = await tx.all("contacts_of_end_users", organization_id=organization_id, ids=records)
    await keep_suppressions(tx, organization_id, person)
    await tx.run(
        "erasure_insert",
        end_user_id=person.id,
        organization_id=organization_id,
        addresses=pack([[contact["kind"], contact["value"]] for contact in contacts]),
    )
    await tx.run("end_users_erase", ids=records)
    await tx.run("contacts_erase", organization_id=organization_id, ids=records)
    for row in await tx.all(
        "conversations_open_of", organization_id=organization_id, ids=records, limit=AT_ONCE
    ):
        await _silence(tx, organization_id, row["id"], partitions)


async def _locked_person(tx: Tx, organization_id: str, end_user_id: str) -> Person:
    """The person, whose records nobody merges or unmerges until this unit ends: that locks the root first."""
    root = (await known_person(tx, organization_id, end_user_id)).id
    await tx.all("end_users_lock", organization_id=organization_id, ids=[root])
    person = await known_person(tx, organization_id, end_user_id)
    if person.id != root:
        raise Unavailable("the end users are being merged and unmerged by others; try again")
    return person


async def erase_step(tx: Tx, partitions: int, past: int = 0) -> Step | None:
    """Go on with an erasure that is due, leaving out the `past` oldest; None where there is no other."""
    erasure = await tx.one("erasure_due", past=past)
    if erasure is None:
        return None
    organization_id, end_user_id = erasure["organization_id"], erasure["end_user_id"]
    person = await known_person(tx, organization_id, end_user_id)
    for record in person.records:
        found = await tx.one("conversation_of_record", organization_id=organization_id, end_user_id=record)
        if found is not None:
            await _erase_conversation(tx, organization_id, found["id"], partitions)
            return Step(end_user_id, finished=False)
    addresses = [Address(ContactKind(kind), value) for kind, value in unpack(erasure["addresses"], [])]
    if (
        await _erase_kept(tx, person)
        or await _strip_consents(tx, erasure, addresses)
        or await _erase_bounces(tx, erasure, addresses)
        or await _erase_letters(tx, erasure, Quotes(addresses, person.records))
    ):
        return Step(end_user_id, finished=False)
    swept = await tx.one("erasure_swept", end_user_id=end_user_id, grace=GRACE)
    return Step(end_user_id, finished=swept is not None and bool(swept["finished"]))


async def _erase_conversation(tx: Tx, organization_id: str, conversation_id: str, partitions: int) -> None:
    if await _silence(tx, organization_id, conversation_id, partitions) and await delete_contents(
        tx, conversation_id
    ):
        await tx.run("conversation_delete", id=conversation_id)


async def _silence(tx: Tx, organization_id: str, conversation_id: str, partitions: int) -> bool:
    """End it if it is open, and have its row tell nothing; False where more of it is to be done.

    What webhooks were to be told goes before: that it ended now is told, and says no more than that.
    """
    row = await tx.one("conversation_lock", organization_id=organization_id, id=conversation_id)
    if row is None or row["archived_at"] is not None:
        return row is not None
    await leave_traces(tx, row)
    if await tx.run("webhook_deliveries_erase", id=conversation_id, limit=ROWS) >= ROWS:
        return False
    conversation = conversation_of(row)
    if not conversation.status.terminal:
        # first, so that nothing opens a conversation for what is unanswered
        await tx.run("inputs_drop", conversation_id=conversation_id)
        await end(tx, conversation, Ending(Status.CLOSED, Cause.CLOSE, _REASON), partitions)
    await tx.run("conversation_forget", id=conversation_id)
    return True


async def _erase_kept(tx: Tx, person: Person) -> bool:
    """What is kept beside the conversations: memory, remembered answers. True while there was some."""
    for record in person.records:
        for query in ("memories_erase", "idempotency_erase"):
            if await tx.run(query, end_user_id=record, limit=ROWS):
                return True
    return False


async def _strip_consents(tx: Tx, erasure: Row, addresses: Sequence[Address]) -> bool:
    """What the ledger of wishes tells besides the wish. True while there was some."""
    for address in addresses:
        for channel in (channel for channel, kind in KIND_OF_CHANNEL.items() if kind is address.kind):
            if await tx.run(
                "consents_strip",
                organization_id=erasure["organization_id"],
                channel=channel.value,
                their_address=address.value,
                until=erasure["requested_at"],
                limit=ROWS,
            ):
                return True
    return False


async def _erase_bounces(tx: Tx, erasure: Row, addresses: Sequence[Address]) -> bool:
    """That mail came back is no wish, whenever it was reported. True while there was some."""
    for address in addresses:
        if address.kind is ContactKind.EMAIL and await tx.run(
            "bounce_suppressions_erase",
            organization_id=erasure["organization_id"],
            their_address=address.value,
            limit=ROWS,
        ):
            return True
    return False


async def _erase_letters(tx: Tx, erasure: Row, quotes: Quotes) -> bool:
    """Dead letters that quote the person, also those that nobody could read; False when all were seen."""
    after = erasure["letters_seen"] or _FIRST
    letters = await tx.all("dead_letters_after", after=after, limit=LETTERS)
    if not letters:
        return False
    found = [
        letter["id"]
        for letter in letters
        if letter["organization_id"] in (None, erasure["organization_id"])
        and (quotes.found_in(letter["body"]) or quotes.found_in(letter["headers"]))
    ]
    if found:
        await tx.run("dead_letters_erase", ids=found)
    await tx.run("erasure_letters_seen", end_user_id=erasure["end_user_id"], letter_id=letters[-1]["id"])
    return True
