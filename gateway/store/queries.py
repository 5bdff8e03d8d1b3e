"""Loads the named queries of `gateway/store/queries/*.sql` and compiles each for both databases.

A block begins with `-- name: some_name`, or stands twice, as `-- name: some_name @postgres` and `… @sqlite`,
where the databases differ. Comment lines that follow are its description. Parameters are `:name`, and macros
stand for what each database says in its own words (gateway.store.macros).

A write that tells of the one row it may touch ends with RETURNING and `{of t WHERE …}`, which names that row,
or `{of given}`, where all its columns are parameters. SQLite is asked for the row by a second statement, or
not at all: it makes a table of what a write returns, at the cost of the write.
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

from gateway.domain.ports.store import Param
from gateway.store.macros import DIALECTS, TIME, Dialect, expanded
from gateway.store.sql import SqlError

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
    given: tuple[str, ...] = ()
    """The columns of that row, where the caller has given them all."""
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

    def for_sqlite(self, params: dict[str, Param], now: Callable[[], int]) -> tuple[Param, ...]:
        """Return the values for SQLite's `?…`: lists as JSON text. The time is put among `params`."""
        if self.timed:
            params[TIME] = now()
        values = self._pick(params)
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
    write, row, given = _in_two(shared or variants["sqlite"])
    sqlite, sqlite_order = _compile(write, "sqlite")
    query = Query(
        first.name,
        first.description,
        sqlite,
        postgres,
        tuple(order),
        frozenset(order) | frozenset(sqlite_order) - {TIME},
        tuple(sqlite_order),
        reads=postgres.startswith("SELECT") and "FOR UPDATE" not in postgres,
        lists="json_each(?" in sqlite,
        timed=TIME in sqlite_order,
        given=given,
    )
    if row is None:
        return query
    text, names = _compile(row, "sqlite")
    look = replace(
        query, sqlite=text, sqlite_order=tuple(names), lists="json_each(?" in text, timed=TIME in names
    )
    return replace(query, row=look)


def _in_two(block: _Block) -> tuple[_Block, _Block | None, tuple[str, ...]]:
    """A write, and the look at the row that it has touched, or the columns of a row that needs none."""
    match = _OF.search(block.text)
    if match is None:
        return block, None, ()
    write = replace(block, text=block.text[: match.start()])
    if match["row"] == "given":
        given = tuple(column.strip() for column in match["columns"].split(","))
        unknown = [column for column in given if not re.search(rf":{column}\b", write.text)]
        if unknown:
            raise QueryError(f"{block.where}: {block.name} is not given {', '.join(unknown)}")
        return write, None, given
    look = f"SELECT {match['columns'].strip()} FROM {match['row']}"  # noqa: S608 - of our own files
    return write, replace(block, text=look), ()


def _compile(block: _Block, dialect: Dialect) -> tuple[str, list[str]]:
    """Return the driver's text and the names of its values in order."""
    try:
        text, names = expanded(block.text, dialect)
    except SqlError as error:
        raise QueryError(f"{block.where}: {block.name}: {error}") from None
    if not text:
        raise QueryError(f"{block.where}: {block.name} has no SQL")
    return text, names
