"""A shop's tools and hooks, as an operator would write them, for agents of the tests."""

import asyncio
import os
from pathlib import Path

from gateway.domain.tool import ToolContext

refunds: list[tuple[str, str]] = []
"""Orders refunded in this process, each with its idempotency key."""


def find_order(order: int) -> dict[str, object]:
    """Look an order up by its number."""
    return {"order": order, "state": "shipped", "total": "19.90 EUR"}


meeting: asyncio.Barrier | None = None
"""Where calls of `look_at` wait for each other."""


async def look_at(shelf: str) -> dict[str, str]:
    """Look at a shelf of the shop."""
    if meeting is not None:
        await meeting.wait()
    if shelf == "broken":
        raise RuntimeError(shelf)
    return {"shelf": shelf}


def _note(ledger: Path, line: str) -> None:
    with ledger.open("a") as file:
        file.write(line)


async def refund_order(order: int, context: ToolContext) -> dict[str, object]:
    """Refund an order in full."""
    refunds.append((str(order), context.idempotency_key))
    ledger = os.environ.get("SHOP_LEDGER")
    if ledger is not None:
        await asyncio.to_thread(_note, Path(ledger), f"{order} {context.idempotency_key}\n")
    return {"refunded": order}


def is_large(tool: str, arguments: dict[str, object]) -> bool:
    """Whether a call is about an order that nobody refunds alone."""
    return tool == "refund_order" and int(str(arguments.get("order", 0))) > 5000
