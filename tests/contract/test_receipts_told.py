"""What a receipt shows is told to operators after the commit: a unit may run more than once."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Concatenate, ParamSpec, TypeVar

import pytest

from gateway.domain.delivery import Part, PartState
from gateway.domain.ids import new_id
from gateway.domain.ports.store import Tx
from gateway.service.ingress import Receipts
from tests.contract.conftest import MovableStore
from tests.contract.test_units_deliver import receipt, sent

P = ParamSpec("P")
T = TypeVar("T")


class Twice(MovableStore):
    """Every unit loses against another one, and is run again."""

    def __init__(self, store: MovableStore) -> None:
        self._twice = store

    async def write(
        self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run it, undo that, and run it."""

        async def undone(tx: Tx) -> None:
            await unit(tx, *args, **kwargs)
            raise LookupError

        with suppress(LookupError):
            await self._twice.write(undone)
        return await self._twice.write(unit, *args, **kwargs)


async def test_what_a_receipt_shows_is_told_once_however_often_its_unit_runs(
    store: MovableStore, caplog: pytest.LogCaptureFixture
) -> None:
    _, (part, *_) = await sent(store, "first", "second")
    receipts = Receipts(Twice(store))
    unknown = Part(delivery_id=new_id(), index=0, text="", hash="")
    with caplog.at_level(logging.WARNING):
        await receipts(receipt(unknown, PartState.SENT))
        for state in (PartState.DELIVERED, PartState.FAILED):
            await receipts(receipt(part, state, sid="SM1"))
        await receipts(receipt(part, PartState.DELIVERED, sid="SM-second"))
    actions = [r.__dict__["action"] for r in caplog.records]
    assert actions == ["receipt.unknown", "receipt.contradicts", "part.doubled"]
    assert caplog.records[1].__dict__["delivery_id"] == part.delivery_id
