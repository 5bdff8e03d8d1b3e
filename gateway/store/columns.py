"""Which tables and columns a database has, and which its migrations make: what its version promises."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing

Columns = frozenset[tuple[str, str]]
"""Tables and their columns."""

FOUND = {
    "sqlite": """
        SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'
    """,
    "postgres": """
        SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND pg_table_is_visible(c.oid)
    """,
}
"""The query that tells, of each database."""
_TOLD = 3


def made_by(statements: Iterable[str]) -> Columns:
    """What migrations leave behind that are run on an empty database, which is made in memory for that."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in statements:
            connection.execute(statement)
        return frozenset((table, column) for table, column in connection.execute(FOUND["sqlite"]))


def lacking(made: Columns, found: Iterable[tuple[str, str]]) -> str | None:
    """What a database has not, in a few words; None where it has everything."""
    names = [f"{table}.{column}" for table, column in sorted(made - frozenset(found))]
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return ", ".join(names[:_TOLD]) + more if names else None
