"""The seam to the database: units of work over a small `Tx`, and what their commits wake."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar

from gateway.domain.envelope import Posting

P = ParamSpec("P")
T = TypeVar("T")

Row = Mapping[str, Any]
Param = str | int | float | bool | bytes | None | Sequence[str] | Sequence[int]


class Wake(StrEnum):
    """What a committed unit of work may wake."""

    OUTBOX = "outbox"
    TIMELINE = "timeline"


class Tx(Protocol):
    """A unit of work in progress. Queries go by name; a unit awaits nothing else."""

    @property
    def dialect(self) -> Literal["sqlite", "postgres"]:
        """Which variant of a query runs."""
        ...

    async def one(self, query: str, /, **params: Param) -> Row | None:
        """The first row, or None."""
        ...

    async def all(self, query: str, /, **params: Param) -> Sequence[Row]:
        """Every row; queries carry their own LIMIT."""
        ...

    async def run(self, query: str, /, **params: Param) -> int:
        """Run it; how many rows it touched."""
        ...

    async def many(self, query: str, rows: Sequence[Mapping[str, Param]], /) -> None:
        """Run it once for each set of parameters."""
        ...

    async def later(self, query: str, /, **params: Param) -> None:
        """Run it before the unit's next other statement, or its end; neighbours take one round trip.

        For writes whose answer nobody needs. Neighbours do not see each other's effects, and no two of them
        may touch the same row.
        """
        ...

    async def expect(self, query: str, assume: Row | None = None, /, **params: Param) -> Row | None:
        """Run a write that nearly always returns a row, in which the columns of `assume` have these values.

        Of the row only these may be looked at, the rest given on to `later` and `expect`, with a number added
        where it is one; `known` has it whole. So a unit that is marked for it (`at_once`) can be a single
        statement. In any other it is the row, and what was assumed may be otherwise.
        """
        ...

    async def known(self, row: Row, /) -> Row:
        """The row that was expected, as it is."""
        ...

    def after_commit(self, wake: Wake, /) -> None:
        """Wake somebody once this unit is durable."""
        ...

    @property
    def taker(self) -> "Taker | None":
        """Who takes outbox rows now."""
        ...

    def hand_over(self, posting: Posting, /) -> None:
        """Give an outbox row to this process's `Taker` once this unit is durable."""
        ...


class Taker(Protocol):
    """Takes this process's own outbox rows once they are durable: nobody looks for them in the table."""

    @property
    def ready(self) -> bool:
        """Whether it takes any now; else they are due in the table at once."""
        ...

    @property
    def bells_need_rows(self) -> bool:
        """Whether bells stand in the table, too; they need not where a start rings for all that waits."""
        ...

    def take(self, postings: Sequence[Posting], /) -> None:
        """Work these off, on the event loop."""
        ...


class Store(Protocol):
    """The database: units of work, durable when `write` returns. Raises `Unavailable` when it is away."""

    async def write(
        self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit of work in one transaction."""
        ...

    async def read(
        self, unit: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a unit that only reads."""
        ...

    def on_wake(self, wake: Wake, callback: Callable[[], None]) -> None:
        """Call `callback` (on the event loop) whenever such a unit has committed."""
        ...

    def hand_over_to(self, taker: Taker) -> None:
        """From now on hand over the outbox rows that are due at once."""
        ...
