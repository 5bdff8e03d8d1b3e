"""How much waits in the database, for those who watch the gateway; each kind is counted up to a bound."""

from dataclasses import dataclass

from gateway.domain.ports.store import Tx
from gateway.store.engine import single_statement

MOST = 10_000
"""Of a kind; more are counted as this many, so that a look costs the same whatever has piled up."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Counts of what waits."""

    outbox: int
    """Rows to publish."""
    turns: int
    """Conversations with input that no finished turn has answered, those a person has included."""
    deliveries: int
    """Lines of deliveries with something to send."""
    dead_letters: int
    """Those nobody has settled."""


@single_statement
async def backlog(tx: Tx) -> Backlog:
    """What waits now."""
    row = await tx.one("backlog", most=MOST)
    if row is None:
        raise AssertionError("a SELECT of counts returns its row")
    return Backlog(row["outbox"], row["turns"], row["deliveries"], row["dead_letters"])
