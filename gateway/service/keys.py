"""API keys that are stored: created once shown, known by their hash only, revoked but never forgotten."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.ids import new_id
from gateway.domain.ports.store import Row, Tx
from gateway.settings import KeyRole, organization_id_of
from gateway.store.records import pack, unpack

_PREFIX = "gw_"
_RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """An API key without its text. Times in µs; `approver_roles` are the approvals it may decide."""

    id: str
    organization_id: str
    name: str
    role: KeyRole
    approver_roles: tuple[str, ...]
    created_at: int
    revoked_at: int | None


def key_hash(text: str) -> str:
    """What is kept of a key: SHA-256, hex. A key is 256 random bits, so no slow hash is needed."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


async def create_key(
    tx: Tx, organisation: str, name: str, role: KeyRole, approver_roles: Sequence[str] = ()
) -> tuple[str, str]:
    """(id, text) of a new key of the named organisation. The text cannot be read again."""
    organization_id = organization_id_of(organisation)
    key_id = new_id()
    text = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    await tx.run("organisation_insert", id=organization_id, name=organisation)
    await tx.run(
        "api_key_insert",
        id=key_id,
        organization_id=organization_id,
        name=name,
        role=role.value,
        key_hash=key_hash(text),
        approver_roles=pack(list(approver_roles)),
    )
    return key_id, text


async def list_keys(tx: Tx) -> list[StoredKey]:
    """Every key there ever was, oldest first, at most 1000."""
    return [_key_of(row, row["created_at"], row["revoked_at"]) for row in await tx.all("api_keys_all")]


async def revoke_key(tx: Tx, key_id: str) -> bool:
    """Revoke a key; False when there is no such key, or it is revoked already.

    Processes that know the key go on taking it for some seconds.
    """
    return bool(await tx.run("api_key_revoke", id=key_id))


async def key_of_hash(tx: Tx, hashed: str) -> StoredKey | None:
    """The key in force behind a hash."""
    row = await tx.one("api_key_by_hash", key_hash=hashed)
    return None if row is None else _key_of(row, row["created_at"], None)


def _key_of(row: Row, created_at: int, revoked_at: int | None) -> StoredKey:
    return StoredKey(
        id=row["id"],
        organization_id=row["organization_id"],
        name=row["name"],
        role=KeyRole(row["role"]),
        approver_roles=tuple(unpack(row["approver_roles"], [])),
        created_at=created_at,
        revoked_at=revoked_at,
    )
