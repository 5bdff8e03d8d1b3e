"""Writes several statements of a unit as one of PostgreSQL's; later ones use what earlier ones return.

Each becomes a common table expression. A value that is not known yet stands where a parameter would: in the
text it is a look into the expression that returns it. A statement that must return a row, and the values it
was assumed to return, are checked in the same statement, which fails as a whole where one is otherwise.
Every piece of it is a query of ours or the name of a column; values travel as parameters.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from gateway.domain.ports.store import Param, Row
from gateway.store.queries import Queries, Query

_NUMBERED = re.compile(r"\$([0-9]+)")
_BETWEEN = "|"
"""A column between the rows of two statements."""
_MAX_TEXTS = 2000
"""Texts kept; there are as many as there are ways through the units."""


class Reconsidered(Exception):
    """The unit cannot be one statement; nothing of it was stored."""


class Value:
    """A column of a row that is not there yet, and a number that is added to it. Nobody can look at it."""

    __slots__ = ("column", "place", "plus")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, place: int, column: str, plus: int = 0) -> None:
        self.place = place
        self.column = column
        self.plus = plus

    def __add__(self, number: int) -> "Value":
        return Value(self.place, self.column, self.plus + number)

    def __sub__(self, number: int) -> "Value":
        return self + -number

    def _look(self, *_: object) -> NoReturn:
        raise TypeError(f"the value of {self.column} is known only when the statement has run")

    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = _look
    __bool__ = __str__ = __repr__ = __format__ = __int__ = __index__ = _look

    @property
    def sql(self) -> str:
        """How it is looked up."""
        added = f" + {self.plus}" if self.plus > 0 else f" - {-self.plus}" if self.plus else ""
        return f"(SELECT late_{self.place}.{self.column}{added} FROM late_{self.place})"  # noqa: S608


class ExpectedRow(Mapping[str, Any]):
    """The row a statement will return: what was assumed of it, and values for the rest."""

    def __init__(self, place: int, assumed: Row) -> None:
        self.place = place
        self._assumed = assumed

    def __getitem__(self, column: str) -> Any:
        return self._assumed[column] if column in self._assumed else Value(self.place, column)

    def __iter__(self) -> Iterator[str]:
        raise TypeError("the columns of a row are known only when its statement has run")

    def __len__(self) -> int:
        raise TypeError("the columns of a row are known only when its statement has run")

    def __bool__(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class _Piece:
    query: Query
    params: list[Any]
    assumed: Row | None
    """None: nobody asks for its row."""

    def shape(self) -> tuple[object, ...]:
        """Whatever the text depends on."""
        values = tuple(
            (n, p.place, p.column, p.plus) for n, p in enumerate(self.params) if p.__class__ is Value
        )
        if self.assumed is None:
            return self.query.name, values
        return self.query.name, values, tuple((name, value is None) for name, value in self.assumed.items())


class AtOnce:
    """The statements of a unit, kept to be run as one."""

    def __init__(self, queries: Queries) -> None:
        self._texts = queries.texts
        self._pieces: list[_Piece] = []
        self._rows: list[int] = []

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._pieces)

    def add(self, query: Query, params: Mapping[str, Param]) -> None:
        """One whose answer nobody needs."""
        self._pieces.append(_Piece(query, query.positional(params), None))

    def expect(self, query: Query, params: Mapping[str, Param], assumed: Row) -> ExpectedRow:
        """One that must return one row, with these values in it."""
        place = len(self._pieces)
        self._pieces.append(_Piece(query, query.positional(params), assumed))
        self._rows.append(place)
        return ExpectedRow(place, assumed)

    def statement(self) -> tuple[str, list[Param]]:
        """All of them: the text, and its parameters."""
        shape = tuple([piece.shape() for piece in self._pieces])
        text = self._texts.get(shape)
        if text is None:
            if len(self._texts) >= _MAX_TEXTS:
                self._texts.clear()
            text = self._texts[shape] = self._text()
        values = [value for piece in self._pieces for value in piece.params if value.__class__ is not Value]
        for place in self._rows:
            values += [value for value in (self._pieces[place].assumed or {}).values() if value is not None]
        return text, values

    def rows(self, record: Any) -> dict[int, Row]:
        """The rows that were expected, by their places, from the row of the whole."""
        found: dict[int, Row] = {}
        columns = iter(record.items())
        next(columns)  # the check
        for place in self._rows:
            row: dict[str, Any] = {}
            for name, value in columns:
                if name == _BETWEEN:
                    break
                row[name] = value
            found[place] = row
        return found

    def _text(self) -> str:
        before = 0
        pieces = []
        for place, piece in enumerate(self._pieces):
            text, taken = _renumbered(piece, before)
            pieces.append(f"late_{place} AS ({text})")
            before += taken
        head = f"WITH {', '.join(pieces)} "
        if not self._rows:
            return f"{head}SELECT 1"
        counts = []
        for place in self._rows:
            conditions, before = _conditions(place, self._pieces[place].assumed or {}, before)
            counts.append(f"(SELECT COUNT(*) FROM late_{place}{conditions})")  # noqa: S608
        columns = f', NULL AS "{_BETWEEN}", '.join(f"late_{place}.*" for place in self._rows)
        joins = "".join(f" LEFT JOIN late_{place} ON TRUE" for place in self._rows)
        # a division by zero: the shortest way to have a statement undo itself
        check = f"(SELECT 1 / ({' * '.join(counts)}) AS fine) AS checked"
        return f"{head}SELECT checked.fine, {columns} FROM {check}{joins}"  # noqa: S608


def _renumbered(piece: _Piece, before: int) -> tuple[str, int]:
    """The text with its parameters counted on from `before`, and how many it has."""
    names: dict[str, str] = {}
    taken = 0
    for number, value in enumerate(piece.params, 1):
        if value.__class__ is Value:
            names[str(number)] = value.sql
        else:
            taken += 1
            names[str(number)] = f"${before + taken}"
    return _NUMBERED.sub(lambda match: names[match[1]], piece.query.postgres), taken


def _conditions(place: int, assumed: Row, before: int) -> tuple[str, int]:
    conditions = []
    for name, value in assumed.items():
        if value is None:
            conditions.append(f"late_{place}.{name} IS NULL")
        else:
            before += 1
            conditions.append(f"late_{place}.{name} = ${before}")
    return (f" WHERE {' AND '.join(conditions)}" if conditions else ""), before
