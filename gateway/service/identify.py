"""Who is speaking: an address resolves to one end user, found or created, however many ask at once."""

from dataclasses import dataclass

from gateway.domain.identity import Address, ContactKind
from gateway.domain.ids import new_id
from gateway.domain.message import JsonObject
from gateway.domain.ports.store import Row, Tx
from gateway.store.records import unpack


@dataclass(frozen=True, slots=True)
class Resolved:
    """The end user behind an address."""

    end_user_id: str
    """The person: where records were merged, the one the others answer as."""
    record_id: str
    """The record the address itself belongs to. What is said from it is kept there, so that unmerging
    leaves everything where it would be without the merge."""
    created: bool


@dataclass(frozen=True, slots=True)
class Contact:
    """An address of an end user. `created_at` in µs."""

    kind: str
    value: str
    verified: bool
    source: str
    created_at: int


@dataclass(frozen=True, slots=True)
class EndUser:
    """A person, with the addresses known of them."""

    id: str
    profile: JsonObject
    contacts: tuple[Contact, ...]
    created_at: int
    merged_into: str | None
    """The record this one was merged into, and answers as."""
    erased_at: int | None


@dataclass(frozen=True, slots=True)
class Person:
    """A person: one record, or several that were merged."""

    id: str
    """The record all others answer as."""
    records: tuple[str, ...]
    """All of them, that one first."""
    erased: bool


async def resolve(tx: Tx, organization_id: str, address: Address, *, verified: bool, source: str) -> Resolved:
    """Find or create the end user of an address; atomic on both databases.

    An address that was only claimed until now is verified by whoever writes from it; one that took nothing
    takes messages again.
    """
    found = await find_contact(tx, organization_id, address, verified=verified)
    if found is not None:
        return found
    return await new_contact(tx, organization_id, address, verified=verified, source=source)


async def find_contact(tx: Tx, organization_id: str, address: Address, *, verified: bool) -> Resolved | None:
    """The end user of an address that is known, verified by it where it was not; None where it is new."""
    key = _key(organization_id, address)
    row = await tx.one("contact_end_user", **key)
    if row is None:
        return None
    if verified and (not row["verified"] or row["undeliverable_at"] is not None):
        await tx.later("contact_verify", **key)
        if address.kind is ContactKind.EMAIL:
            await tx.later(
                "bounce_suppressions_lift", organization_id=organization_id, their_address=address.value
            )
    return _found(row)


async def new_contact(
    tx: Tx, organization_id: str, address: Address, *, verified: bool, source: str
) -> Resolved:
    """A new end user for an address that was not known; the one there is where another unit was faster."""
    key, end_user_id = _key(organization_id, address), new_id()
    inserted = await tx.expect(
        "contact_insert", **key, end_user_id=end_user_id, verified=verified, source=source
    )
    if inserted is None:
        row = await tx.one("contact_end_user", **key)
        if row is None:
            raise AssertionError("a contact that conflicts exists")
        return _found(row)
    await tx.later("end_user_insert", id=end_user_id, organization_id=organization_id)
    return Resolved(end_user_id, end_user_id, created=True)


def _key(organization_id: str, address: Address) -> dict[str, str]:
    return {"organization_id": organization_id, "kind": address.kind.value, "value": address.value}


def _found(row: Row) -> Resolved:
    return Resolved(row["merged_into"] or row["end_user_id"], row["end_user_id"], created=False)


async def person_of(tx: Tx, organization_id: str, end_user_id: str) -> Person | None:
    """The person a record is of; None where the organisation has no such record."""
    row = await tx.one("end_user_by_id", organization_id=organization_id, id=end_user_id)
    if row is None:
        return None
    root = row["merged_into"] or row["id"]
    others = await tx.all("end_users_merged_into", organization_id=organization_id, id=root)
    return Person(root, (root, *(r["id"] for r in others)), row["erased_at"] is not None)


async def end_user(tx: Tx, organization_id: str, end_user_id: str) -> EndUser | None:
    """A record's profile and contacts; None where the organisation has no such record.

    A merged one shows its own; the one it was merged into shows those of all.
    """
    row = await tx.one("end_user_by_id", organization_id=organization_id, id=end_user_id)
    if row is None:
        return None
    ids = [row["id"]]
    if row["merged_into"] is None:
        merged = await tx.all("end_users_merged_into", organization_id=organization_id, id=row["id"])
        ids += [r["id"] for r in merged]
    contacts = await tx.all("contacts_of_end_users", organization_id=organization_id, ids=ids)
    return EndUser(
        row["id"],
        unpack(row["profile"], {}),
        tuple(_contact(c) for c in contacts),
        row["created_at"],
        row["merged_into"],
        row["erased_at"],
    )


def _contact(row: Row) -> Contact:
    return Contact(row["kind"], row["value"], bool(row["verified"]), row["source"], row["created_at"])
