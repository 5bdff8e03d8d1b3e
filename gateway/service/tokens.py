"""Tokens of webhooks whose signature does not cover their content, over all processes.

Whoever has seen one such request could put another content under its token, for as long as it counts. So a
token belongs to the content it came with first; the same request again is the provider's own repetition.
"""

from gateway.domain.clock import SECOND
from gateway.domain.ports.store import Store, Tx
from gateway.store.engine import single_statement

KEPT = 24 * 3600 * SECOND
"""µs; longer than any token counts."""


class Tokens:
    """The `BindToken` port."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self, provider: str, token: str, digest: str) -> bool:
        """Raises Unavailable."""
        return await self._store.write(bind_token, provider, token, digest)


@single_statement
async def bind_token(tx: Tx, provider: str, token: str, digest: str) -> bool:
    """Bind a token to a content; False where it belongs to another."""
    row = await tx.one("token_bind", provider=provider, token=token, digest=digest)
    return row is not None and bool(row["digest"] == digest)
