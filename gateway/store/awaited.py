"""The store of a process that was started while the database was away."""

from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec, TypeVar

from gateway.domain.ports.store import Store, Taker, Tx, Wake
from gateway.store.engine import StoreUnavailable

P = ParamSpec("P")
T = TypeVar("T")


class AwaitedStore:
    """A store that is away until it is opened: a database that answers may still have an old schema."""

    def __init__(self, store: Store, reason: str) -> None:
        """`reason`: why it cannot be used yet, a sentence."""
        self._store = store
        self.reason: str | None = reason

    def open(self) -> None:
        """From now on it is the store that it stands for."""
        self.reason = None

    async def write(
        self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As the store's; StoreUnavailable until it is open."""
        self._check()
        return await self._store.write(unit, *args, **kwargs)

    async def read(
        self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As the store's; StoreUnavailable until it is open."""
        self._check()
        return await self._store.read(unit, *args, **kwargs)

    def on_wake(self, wake: Wake, callback: Callable[[], None]) -> None:
        """As the store's."""
        self._store.on_wake(wake, callback)

    def hand_over_to(self, taker: Taker) -> None:
        """As the store's."""
        self._store.hand_over_to(taker)

    def _check(self) -> None:
        if self.reason is not None:
            raise StoreUnavailable(self.reason)
