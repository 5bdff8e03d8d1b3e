"""Loads the named queries of `gateway/store/queries/*.sql` and compiles each for both databases.

A block begins with `-- name: some_name`, or stands twice, as `-- name: some_name @postgres` and `… @sqlite`,
where the databases differ. Comment lines that follow are its description. Parameters are `:name`; they become
`$1…` on PostgreSQL, the same name the same number, and `?` on SQLite, a value for each use (Python 3.12 to
3.12.3 take `?1` for a name, and warn at every one). A list is an array there and JSON text on SQLite
(`json_each(:ids)`).

Macros stand for what each database says in its own words: `{now}` is the time in microseconds since 1970, of
PostgreSQL's clock, while SQLite is told it with the statement; `{in :ids}` asks whether a list holds a value,
`{json object}` makes one, `{for update}` and `{for update skip locked}` lock rows, which SQLite with its one
writer need not. `{of t where …}` at the end of a write with RETURNING names the one row it may touch. SQLite
is asked for that by a second statement: it makes a table of what a write returns, at the cost of the write.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from operator import itemgetter
from pathlib import Path
from typing import Literal

from gateway.domain.ports.store import Param
from gateway.store.sql import Kind, SqlError, tokens

Dialect = Literal["sqlite", "postgres"]
DIALECTS: tuple[Dialect, ...] = ("sqlite", "postgres")

_TIME = "{now}"
_MACROS: Mapping[str, Mapping[Dialect, str]] = {
    _TIME: {"postgres": "gateway_now()"},
    "{for update}": {"sqlite": "", "postgres": "FOR UPDATE"},
    "{for update skip locked}": {"sqlite": "", "postgres": "FOR UPDATE SKIP LOCKED"},
    "{json object}": {"sqlite": "json_object", "postgres": "json_build_object"},
}
_IN = re.compile(r"\{in :(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")
_LISTED: Mapping[Dialect, str] = {
    "sqlite": "IN (SELECT value FROM json_each({}))",
    "postgres": "= ANY({})",
}
_OF = re.compile(
    r"\bRETURNING\b(?P<columns>(?:(?!\bRETURNING\b).)*)\{of (?P<row>[^}\n]*)\}\s*;?\s*\Z", re.DOTALL
)
_NAME_LINE = re.compile(r"--\s*name:\s*(?P<rest>.*)")
_NAME = re.compile(r"(?P<name>[a-z][a-z0-9_]*)(?:\s+@(?P<dialect>sqlite|postgres))?")


class QueryError(ValueError):
    """A query file that cannot be loaded; the message begins with `file:line:`."""


def _picker(names: tuple[str, ...]) -> Callable[[Mapping[str, Param]], tuple[Param, ...]]:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda params: tuple(params[name] for name in names)


@dataclass(frozen=True, slots=True)
class Query:
    """One named query, ready for either driver."""

    name: str
    description: str
    sqlite: str
    postgres: str
    order: tuple[str, ...]
    """PostgreSQL's `$1, $2, …` by name."""
    parameters: frozenset[str]
    """Every parameter of either variant: a caller gives exactly these, whichever database answers."""
    sqlite_order: tuple[str, ...] = ()
    """SQLite's `?, ?, …` by name, the time under that of its macro."""
    reads: bool = False
    """Whether PostgreSQL's variant only looks, and holds nothing."""
    lists: bool = False
    """Whether SQLite's variant reads lists, which it is given as JSON."""
    timed: bool = False
    """Whether SQLite's variant is told the time, µs."""
    row: "Query | None" = None
    """What tells the row that a write has touched, where SQLite's variant does not by itself."""
    _pick: Callable[[Mapping[str, Param]], tuple[Param, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Find out once how the values of a call are picked."""
        object.__setattr__(self, "_pick", _picker(self.sqlite_order))

    def check(self, params: Mapping[str, Param]) -> None:
        """Refuse (TypeError) a call with a parameter missing or unknown, alike on both databases."""
        if params.keys() == self.parameters:
            return
        missing, unknown = self.parameters - params.keys(), params.keys() - self.parameters
        complaints = [
            f"{word} {', '.join(sorted(names))}"
            for word, names in (("misses", missing), ("does not know", unknown))
            if names
        ]
        raise TypeError(f"query {self.name} {' and '.join(complaints)}")

    def positional(self, params: Mapping[str, Param]) -> list[Param]:
        """Return the values for PostgreSQL's `$1…`."""
        return [params[name] for name in self.order]

    def for_sqlite(self, params: Mapping[str, Param], now: Callable[[], int]) -> tuple[Param, ...]:
        """Return the values for SQLite's `?…`: lists as JSON text."""
        values = self._pick({**params, _TIME: now()} if self.timed else params)
        if self.lists:
            values = tuple(json.dumps(v) if isinstance(v, list | tuple) else v for v in values)
        return values


class Queries(dict[str, Query]):
    """The queries by name; an unknown name is a LookupError that says so."""

    def __init__(self, queries: Mapping[str, Query] | Iterable[tuple[str, Query]] = ()) -> None:
        super().__init__(dict(queries))
        self.texts: dict[tuple[object, ...], str] = {}
        """What several of them have been made into (gateway.store.at_once)."""
        self.columns: dict[str, tuple[str, ...]] = {}
        """Of the rows of each query, as SQLite has named them."""

    def __missing__(self, name: str) -> Query:
        raise LookupError(f"no query is named {name!r}")


@dataclass(frozen=True, slots=True)
class _Block:
    name: str
    dialect: Dialect | None
    where: str
    description: str
    text: str


def load_queries(folder: Path | Traversable | None = None) -> Queries:
    """Load every `*.sql` file of `folder`: the package's own by default, read once. Raises QueryError."""
    return Queries(_own() if folder is None else _read(folder))


@cache
def _own() -> Mapping[str, Query]:
    return dict(_read(files("gateway.store").joinpath("queries")))


def _read(source: Path | Traversable) -> Iterator[tuple[str, Query]]:
    blocks: dict[str, dict[Dialect | None, _Block]] = {}
    for file in sorted(source.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".sql"):
            continue
        for block in _blocks(file.name, file.read_text(encoding="utf-8")):
            _add(blocks.setdefault(block.name, {}), block)
    return ((name, _query(variants)) for name, variants in blocks.items())


def _add(variants: dict[Dialect | None, _Block], block: _Block) -> None:
    if block.dialect in variants or None in variants or (variants and block.dialect is None):
        first = next(iter(variants.values()))
        raise QueryError(f"{block.where}: {block.name} is already defined at {first.where}")
    variants[block.dialect] = block


def _blocks(file: str, text: str) -> Iterator[_Block]:
    """Cut a file at its name lines."""
    head: tuple[str, Dialect | None, str] | None = None
    body: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        where = f"{file}:{number}"
        match = _NAME_LINE.fullmatch(line.rstrip())
        if match is None:
            body.append(line)
            if head is None and line.strip() and not line.startswith("--"):
                raise QueryError(f"{where}: SQL before the first '-- name:' line")
            continue
        if head is not None:
            yield _block(head, body)
        head, body = _head(match["rest"], where), []
    if head is not None:
        yield _block(head, body)


def _head(rest: str, where: str) -> tuple[str, Dialect | None, str]:
    match = _NAME.fullmatch(rest)
    if match is None:
        raise QueryError(f"{where}: expected '-- name: lower_case_name [@sqlite|@postgres]', not {rest!r}")
    chosen = next((dialect for dialect in DIALECTS if dialect == match["dialect"]), None)
    return match["name"], chosen, where


def _block(head: tuple[str, Dialect | None, str], body: list[str]) -> _Block:
    name, dialect, where = head
    comments = 0
    while comments < len(body) and body[comments].startswith("--"):
        comments += 1
    description = " ".join(line.removeprefix("--").strip() for line in body[:comments])
    return _Block(name, dialect, where, description, "\n".join(body[comments:]))


def _query(variants: Mapping[Dialect | None, _Block]) -> Query:
    shared = variants.get(None)
    first = next(iter(variants.values()))
    for dialect in DIALECTS:
        if shared is None and dialect not in variants:
            raise QueryError(f"{first.where}: {first.name} has no variant for {dialect}")
    postgres, order = _compile(shared or variants["postgres"], "postgres")
    write, row = _in_two(shared or variants["sqlite"])
    sqlite, sqlite_order = _compile(write, "sqlite")
    query = Query(
        first.name,
        first.description,
        sqlite,
        postgres,
        tuple(order),
        frozenset(order) | frozenset(sqlite_order) - {_TIME},
        tuple(sqlite_order),
        reads=postgres.startswith("SELECT") and "FOR UPDATE" not in postgres,
        lists="json_each(?" in sqlite,
        timed=_TIME in sqlite_order,
    )
    if row is None:
        return query
    text, names = _compile(row, "sqlite")
    look = replace(
        query, sqlite=text, sqlite_order=tuple(names), lists="json_each(?" in text, timed=_TIME in names
    )
    return replace(query, row=look)


def _in_two(block: _Block) -> tuple[_Block, _Block | None]:
    """A write, and the look at the row that it has touched."""
    match = _OF.search(block.text)
    if match is None:
        return block, None
    look = f"SELECT {match['columns'].strip()} FROM {match['row']}"  # noqa: S608 - of our own files
    return replace(block, text=block.text[: match.start()]), replace(block, text=look)


def _compile(block: _Block, dialect: Dialect) -> tuple[str, list[str]]:
    """Return the driver's text and the names of its values in order."""
    marks = _Marks(dialect, [])
    try:
        pieces = [_expand(kind, piece, marks) for kind, piece in _statement(block.text)]
    except SqlError as error:
        raise QueryError(f"{block.where}: {block.name}: {error}") from None
    text = "".join(pieces).strip()
    if not text:
        raise QueryError(f"{block.where}: {block.name} has no SQL")
    return text, marks.order


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
    if piece == _TIME and marks.dialect == "sqlite":
        return marks.of(_TIME)
    macro = _MACROS.get(piece)
    if macro is None:
        raise SqlError(f"unknown macro {piece}")
    return macro[marks.dialect]
