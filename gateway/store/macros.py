"""Compiles one statement for one database: its parameters, and what each database says in its own words.

Parameters are `:name`; they become `$1…` on PostgreSQL, the same name the same number, and `?` on SQLite, a
value for each use (Python 3.12 to 3.12.3 take `?1` for a name, and warn at every one). A list is an array
there and JSON text on SQLite (`json_each(:ids)`).

`{now}` is the time in microseconds since 1970, of PostgreSQL's clock, while SQLite is told it with the
statement; `{in :ids}` asks whether a list holds a value, `{json object}` makes one, `{for update}` and `{for
update skip locked}` lock rows, which SQLite with its one writer need not. `{index i}` behind a table names
the index to take where SQLite, which keeps no statistics here, would guess wrong.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.store.sql import Kind, SqlError, tokens

Dialect = Literal["sqlite", "postgres"]
DIALECTS: tuple[Dialect, ...] = ("sqlite", "postgres")

TIME = "{now}"
"""What the time is called among the parameters."""
_MACROS: Mapping[str, Mapping[Dialect, str]] = {
    TIME: {"postgres": "gateway_now()"},
    "{for update}": {"sqlite": "", "postgres": "FOR UPDATE"},
    "{for update skip locked}": {"sqlite": "", "postgres": "FOR UPDATE SKIP LOCKED"},
    "{json object}": {"sqlite": "json_object", "postgres": "json_build_object"},
}
_IN = re.compile(r"\{in :(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")
_INDEX = re.compile(r"\{index (?P<name>[a-z_]+)\}")
_LISTED: Mapping[Dialect, str] = {
    "sqlite": "IN (SELECT value FROM json_each({}))",
    "postgres": "= ANY({})",
}


def expanded(text: str, dialect: Dialect) -> tuple[str, list[str]]:
    """The driver's text and the names of its values in order. Raises SqlError."""
    marks = _Marks(dialect, [])
    pieces = [_expand(kind, piece, marks) for kind, piece in _statement(text)]
    return "".join(pieces).strip(), marks.order


def _statement(text: str) -> Iterator[tuple[Kind, str]]:
    """Yield the tokens of the block's one statement, without its final semicolon."""
    ended = False
    for kind, piece in tokens(text):
        if kind is Kind.END:
            ended = True
        elif not ended:
            yield kind, piece
        elif kind is not Kind.COMMENT and piece.strip():
            raise SqlError("more than one statement")


@dataclass(frozen=True, slots=True)
class _Marks:
    """The placeholders of one statement for one database."""

    dialect: Dialect
    order: list[str]

    def of(self, name: str) -> str:
        """The placeholder of a parameter."""
        if self.dialect == "sqlite":
            self.order.append(name)
            return "?"
        if name not in self.order:
            self.order.append(name)
        return f"${self.order.index(name) + 1}"


def _expand(kind: Kind, piece: str, marks: _Marks) -> str:
    if kind is Kind.COMMENT:
        return " "
    if kind is Kind.MACRO:
        return _macro(piece, marks)
    return marks.of(piece[1:]) if kind is Kind.PARAMETER else piece


def _macro(piece: str, marks: _Marks) -> str:
    if piece.startswith("{of ") and marks.dialect == "postgres":
        return ""
    listed = _IN.fullmatch(piece)
    if listed is not None:
        return _LISTED[marks.dialect].format(marks.of(listed["name"]))
    index = _INDEX.fullmatch(piece)
    if index is not None:
        return f"INDEXED BY {index['name']}" if marks.dialect == "sqlite" else ""
    if piece == TIME and marks.dialect == "sqlite":
        return marks.of(TIME)
    macro = _MACROS.get(piece)
    if macro is None:
        raise SqlError(f"unknown macro {piece}")
    return macro[marks.dialect]
