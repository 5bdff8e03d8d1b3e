"""Secrets of the installation that nobody has to configure: made once, shared by all processes."""

import secrets

from gateway.domain.ports.store import Tx


async def shared_secret(tx: Tx, name: str) -> bytes:
    """The secret of this name; made from 32 random bytes by whoever asks first."""
    await tx.run("secret_insert", name=name, value=secrets.token_hex(32))
    row = await tx.one("secret_by_name", name=name)
    if row is None:
        raise AssertionError("the secret was stored in this unit")
    return bytes.fromhex(row["value"])
