"""Who is speaking: an address resolves to one end user, found or created, however many ask at once."""

from dataclasses import dataclass

from gateway.domain.identity import Address
from gateway.domain.ids import new_id
from gateway.domain.message import JsonObject
from gateway.domain.ports import Row, Tx
from gateway.store.records import unpack


@dataclass(frozen=True, slots=True)
class Resolved:
    """The end user behind an address."""

    end_user_id: str
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
    """The record this one was merged into."""


async def resolve(tx: Tx, organization_id: str, address: Address, *, verified: bool, source: str) -> Resolved:
    """Find or create the end user of an address; atomic on both databases."""
    key = {"organization_id": organization_id, "kind": address.kind.value, "value": address.value}
    row = await tx.one("contact_end_user", **key)
    if row is not None:
        return Resolved(row["merged_into"] or row["end_user_id"], created=False)
    end_user_id = new_id()
    inserted = await tx.one(
        "contact_insert", **key, end_user_id=end_user_id, verified=verified, source=source
    )
    if inserted is None:
        row = await tx.one("contact_end_user", **key)
        if row is None:
            raise AssertionError("a contact that conflicts exists")
        return Resolved(row["merged_into"] or row["end_user_id"], created=False)
    await tx.later("end_user_insert", id=end_user_id, organization_id=organization_id)
    return Resolved(end_user_id, created=True)


async def end_user(tx: Tx, organization_id: str, end_user_id: str) -> EndUser | None:
    """An end user's profile and contacts; None where the organisation has no such person."""
    row = await tx.one("end_user_by_id", organization_id=organization_id, id=end_user_id)
    if row is None:
        return None
    contacts = await tx.all("contacts_of_end_user", organization_id=organization_id, end_user_id=end_user_id)
    return EndUser(
        row["id"],
        unpack(row["profile"], {}),
        tuple(_contact(c) for c in contacts),
        row["created_at"],
        row["merged_into"],
    )


def _contact(row: Row) -> Contact:
    return Contact(row["kind"], row["value"], bool(row["verified"]), row["source"], row["created_at"])
