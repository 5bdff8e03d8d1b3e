"""What is known of a person is changed: the profile, and the addresses attached by an operator."""

from collections.abc import Sequence

from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.identity import Address
from gateway.domain.message import JsonObject
from gateway.domain.ports.store import Row, Tx
from gateway.domain.profile import patched
from gateway.service.identify import EndUser, Person, end_user, person_of
from gateway.service.suppress import derive_suppressions
from gateway.store.records import pack, unpack

MAX_CONTACTS = 100
"""Addresses of a person, over all merged records."""


async def known_person(tx: Tx, organization_id: str, end_user_id: str) -> Person:
    """The person a record is of. Raises GatewayError `not_found`."""
    person = await person_of(tx, organization_id, end_user_id)
    if person is None:
        raise GatewayError(ErrorCode.NOT_FOUND, "there is no such end user")
    return person


async def locked(tx: Tx, organization_id: str, ids: Sequence[str]) -> dict[str, Row]:
    """Records by id, held until the unit ends. Raises GatewayError `not_found`, `end_user_erased`."""
    rows = await tx.all("end_users_lock", organization_id=organization_id, ids=sorted(set(ids)))
    found = {row["id"]: row for row in rows}
    if not found.keys() >= set(ids):
        raise GatewayError(ErrorCode.NOT_FOUND, "there is no such end user")
    if any(row["erased_at"] is not None for row in rows):
        raise GatewayError(ErrorCode.END_USER_ERASED, "this end user was erased; nothing can be added")
    return found


async def patch_profile(tx: Tx, organization_id: str, end_user_id: str, patch: JsonObject) -> EndUser:
    """Merge a patch (RFC 7396) into a record's profile."""
    row = (await locked(tx, organization_id, [end_user_id]))[end_user_id]
    profile = patched(unpack(row["profile"], {}), patch)
    await tx.run("end_user_profile", id=end_user_id, profile=pack(profile))
    return await shown(tx, organization_id, end_user_id)


async def attach_contact(
    tx: Tx, organization_id: str, end_user_id: str, address: Address, source: str
) -> tuple[EndUser, bool]:
    """Attach a verified address; (the record, whether the address is new to it).

    Raises GatewayError `contact_in_use` where it is another person's.
    """
    row = (await locked(tx, organization_id, [end_user_id]))[end_user_id]
    person = await known_person(tx, organization_id, row["merged_into"] or end_user_id)
    contacts = await tx.all(
        "contacts_of_end_users", organization_id=organization_id, ids=list(person.records)
    )
    key = {"organization_id": organization_id, "kind": address.kind.value, "value": address.value}
    is_known = any((c["kind"], c["value"]) == (address.kind.value, address.value) for c in contacts)
    if is_known:
        await tx.run("contact_verify", **key)
        return await shown(tx, organization_id, end_user_id), False
    if len(contacts) >= MAX_CONTACTS:
        raise GatewayError(
            ErrorCode.VALIDATION_ERROR, f"an end user may have at most {MAX_CONTACTS} contacts"
        )
    inserted = await tx.one("contact_insert", **key, end_user_id=end_user_id, verified=True, source=source)
    if inserted is None:
        raise GatewayError(
            ErrorCode.CONTACT_IN_USE, "this address belongs to another end user; merge the two instead"
        )
    await derive_suppressions(tx, organization_id, person)
    return await shown(tx, organization_id, end_user_id), True


async def shown(tx: Tx, organization_id: str, end_user_id: str) -> EndUser:
    """A record that this unit has locked, as it is now."""
    found = await end_user(tx, organization_id, end_user_id)
    if found is None:
        raise AssertionError("the end user was locked in this unit")
    return found
