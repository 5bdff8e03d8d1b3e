"""Two records turn out to be one person, or not after all: merged by a link, which unmerging takes away.

Nothing moves: contacts, profile and conversations stay with the record they came to, also those that
come while it is merged. So unmerging restores exactly what would be without the merge.
"""

from collections.abc import Mapping

from gateway.domain.errors import ErrorCode, GatewayError, Unavailable
from gateway.domain.ports.store import Tx
from gateway.service.identify import EndUser
from gateway.service.people import MAX_CONTACTS, known_person, locked, shown
from gateway.service.suppress import derive_suppressions

MAX_RECORDS = 50
"""Records that may be merged into one."""


def _refused(why: str) -> GatewayError:
    return GatewayError(ErrorCode.INVALID_MERGE, why)


async def merge(tx: Tx, organization_id: str, into_id: str, from_id: str) -> EndUser:
    """Have one record, and all that were merged into it before, answer as another; that one, as it is now.

    Raises GatewayError `invalid_merge` for itself, for a record that is merged already (so there are no
    cycles), and for more than `MAX_RECORDS` or `MAX_CONTACTS` in one person.
    """
    rows = await locked(tx, organization_id, [into_id, from_id])
    if into_id == from_id:
        raise _refused("an end user cannot be merged into itself")
    for row in rows.values():
        if row["merged_into"] is not None:
            raise _refused(
                f"end user {row['id']} is merged into {row['merged_into']}; unmerge it, or use that"
            )
    into = await known_person(tx, organization_id, into_id)
    joining = await known_person(tx, organization_id, from_id)
    records = [*into.records, *joining.records]
    contacts = await tx.all("contacts_of_end_users", organization_id=organization_id, ids=records)
    if len(records) > MAX_RECORDS or len(contacts) > MAX_CONTACTS:
        raise _refused(f"one person has at most {MAX_RECORDS} records and {MAX_CONTACTS} contacts")
    await tx.run("end_users_answer_as", merged_into=into_id, ids=list(joining.records))
    await tx.run("end_user_link", id=from_id, merged_directly=into_id)
    await derive_suppressions(tx, organization_id, await known_person(tx, organization_id, into_id))
    return await shown(tx, organization_id, into_id)


async def unmerge(tx: Tx, organization_id: str, end_user_id: str) -> EndUser:
    """Separate a merged record, with all that were merged into it before; that one, as it is now.

    Raises GatewayError `invalid_merge` for one that is not merged.
    """
    person = await known_person(tx, organization_id, end_user_id)
    rows = await locked(tx, organization_id, [end_user_id, person.id])
    now_into = rows[end_user_id]["merged_into"]
    if now_into is None:
        raise _refused("this end user is not merged into another")
    if now_into != person.id:
        raise Unavailable("the end users are being merged and unmerged by others; try again")
    others = await tx.all("end_users_merged_into", organization_id=organization_id, id=person.id)
    leaving = _subtree(end_user_id, {row["id"]: row["merged_directly"] for row in others})
    await tx.run("end_users_answer_as", merged_into=end_user_id, ids=leaving)
    await tx.run("end_users_answer_as", merged_into=None, ids=[end_user_id])
    await tx.run("end_user_link", id=end_user_id, merged_directly=None)
    for root in (person.id, end_user_id):
        await derive_suppressions(tx, organization_id, await known_person(tx, organization_id, root))
    return await shown(tx, organization_id, end_user_id)


async def unmerge_from(tx: Tx, organization_id: str, into_id: str, from_id: str) -> EndUser:
    """The same, for one that must be merged into `into_id`, directly or over others."""
    row = await tx.one("end_user_by_id", organization_id=organization_id, id=from_id)
    if row is None or into_id not in (row["merged_into"], row["merged_directly"]):
        raise _refused(f"end user {from_id} is not merged into this one")
    return await unmerge(tx, organization_id, from_id)


def _subtree(root: str, links: Mapping[str, str]) -> list[str]:
    """What was merged into `root`, directly or over others, and `root` itself."""
    found = [root]
    for record in found:
        found += [child for child, parent in links.items() if parent == record]
    return found
