"""Brings a database's schema up to date: SQL files in order, run and recorded by Alembic in one transaction.

A revision is `NNNN_noun.sql` (both databases), followed by `NNNN_noun.postgres.sql` or `NNNN_noun.sqlite.sql`
where one needs more; either may be missing. There is no Alembic environment: the files make the revision.
Only `migrate` loads Alembic and SQLAlchemy, so that a process that merely serves does without.
"""

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from gateway.store.columns import FOUND, lacking, made_by
from gateway.store.engine import StoreUnavailable, sqlite_path
from gateway.store.sql import split_statements

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

WAIT_SECONDS = 60
"""How long a migration waits for another one, or for a table that is in use."""
_ADVISORY_LOCK = 0x6761_7465_7761_7900
_FILE = re.compile(r"(?P<revision>(?P<number>[0-9]{4})_[a-z0-9_]+)(?:\.(?P<dialect>sqlite|postgres))?\.sql")
_BOTH = "both"
"""No dialect: what is alike on both databases."""


class UnknownSchema(RuntimeError):
    """The database's schema is of a version that is not this program's, or is not what its version says."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One step of the schema and its statements for one database."""

    name: str
    statements: tuple[str, ...]


def revisions(dialect: str, folder: Path | Traversable | None = None) -> list[Revision]:
    """Read the revisions of `folder` (the package's own by default), oldest first.

    Raises ValueError for a file that is named otherwise and for two revisions with one number.
    """
    source = files("gateway.store").joinpath("migrations") if folder is None else folder
    texts: dict[str, list[str]] = {}
    numbers: dict[str, str] = {}
    # "0001_x.postgres.sql" sorts before "0001_x.sql", but runs after it
    for file in sorted(source.iterdir(), key=lambda entry: (entry.name.split(".")[0], len(entry.name))):
        if not file.name.endswith(".sql"):
            continue
        match = _FILE.fullmatch(file.name)
        if match is None or numbers.setdefault(match["number"], match["revision"]) != match["revision"]:
            raise ValueError(
                f"{file.name}: a migration is named NNNN_noun[.sqlite|.postgres].sql, one per number"
            )
        texts.setdefault(match["revision"], [])
        if match["dialect"] in (None, dialect):
            texts[match["revision"]].append(file.read_text(encoding="utf-8"))
    return [
        Revision(name, tuple(statement for text in parts for statement in split_statements(text, dialect)))
        for name, parts in texts.items()
    ]


async def schema_is_current(url: str, folder: Path | Traversable | None = None) -> bool:
    """Whether nothing is pending; cheap. StoreUnavailable when the database does not answer."""
    try:
        return not await pending(url, folder)
    except UnknownSchema:
        return False


async def pending(url: str, folder: Path | Traversable | None = None) -> list[str]:
    """Return the revisions the database lacks, oldest first. UnknownSchema if its version is not ours."""
    dialect = "postgres" if sqlite_path(url) is None else "sqlite"
    return _after([known.name for known in revisions(dialect, folder)], await _version(url))


async def verified(url: str, folder: Path | Traversable | None = None) -> list[str]:
    """The same; one that lacks none is looked at whether it has the columns which its version promises.

    A version is the name of the last step: whether those before it were ever run it does not say. Raises
    UnknownSchema, StoreUnavailable.
    """
    missing = await pending(url, folder)
    if not missing:
        found = [(str(table), str(column)) for table, column in await _ask(url, FOUND)]
        _verify(await _version(url), revisions(_BOTH, folder), found)
    return missing


def _verify(version: str | None, known: list[Revision], found: Iterable[tuple[str, str]]) -> None:
    """`known`: the steps, by what is alike on both databases."""
    lacks = lacking(made_by(statement for step in known for statement in step.statements), found)
    if lacks is not None:
        raise UnknownSchema(
            f"the database's schema is at {version}, but lacks {lacks}: another program, or an unfinished"
            " version of this one, has made it; restore a backup, or make the database anew"
        )


def _after(names: list[str], version: str | None) -> list[str]:
    if version is None:
        return names
    if version not in names:
        raise UnknownSchema(f"the database's schema is at {version}, which this program does not know")
    return names[names.index(version) + 1 :]


async def _version(url: str) -> str | None:
    rows = await _ask(url, dict.fromkeys(FOUND, "SELECT version_num FROM alembic_version"))
    return None if not rows else str(rows[0][0])


async def _ask(url: str, query: Mapping[str, str]) -> Sequence[Sequence[Any]]:
    """The rows of a database's own query; none where there is no such table, or database."""
    path = sqlite_path(url)
    return await _ask_postgres(url, query["postgres"]) if path is None else _ask_sqlite(path, query["sqlite"])


def _ask_sqlite(path: Path, query: str) -> Sequence[Sequence[Any]]:
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(path, timeout=5)) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return []
        raise StoreUnavailable(f"{path} cannot be read: {error}") from error


async def _ask_postgres(url: str, query: str) -> Sequence[Sequence[Any]]:
    import asyncpg

    from gateway.store.postgres_connection import DRIVER_ERRORS, connect, reason

    try:
        connection = await connect(url, "gateway")
        try:
            rows: Sequence[Sequence[Any]] = await connection.fetch(query)
        finally:
            await connection.close()
    except asyncpg.UndefinedTableError:
        return []
    except DRIVER_ERRORS as error:
        raise StoreUnavailable(reason(error)) from error
    return rows


async def migrate(url: str, folder: Path | Traversable | None = None) -> list[str]:
    """Apply what is pending, all or nothing, and return it. Two at once wait for each other.

    Raises UnknownSchema, StoreUnavailable, or the database's error; nothing is applied then.
    """
    path = sqlite_path(url)
    dialect = "postgres" if path is None else "sqlite"
    known, alike = revisions(dialect, folder), revisions(_BOTH, folder)
    engine = _postgres_engine(url) if path is None else _sqlite_engine(path)
    try:
        async with engine.begin() as connection:
            if path is None:
                await connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'")
                await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
            applied = await connection.run_sync(_upgrade, known)
            found: Sequence[Any] = (await connection.exec_driver_sql(FOUND[dialect])).all()
            _verify(known[-1].name if known else None, alike, found)
            return applied
    finally:
        await engine.dispose()


def _sqlite_engine(path: Path) -> "AsyncEngine":
    import aiosqlite
    from sqlalchemy import event
    from sqlalchemy.ext.asyncio import create_async_engine

    def connect() -> aiosqlite.Connection:
        # the driver's own transactions begin too late: they leave DDL outside
        return aiosqlite.connect(path, isolation_level=None, timeout=WAIT_SECONDS)

    engine = create_async_engine("sqlite+aiosqlite://", async_creator=connect)

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: "Connection") -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _postgres_engine(url: str) -> "AsyncEngine":
    from sqlalchemy.ext.asyncio import create_async_engine

    from gateway.store.postgres_connection import DRIVER_ERRORS, connect, reason

    async def open_connection() -> Any:
        try:
            return await connect(url, "gateway migrate", command_timeout=None)
        except DRIVER_ERRORS as error:
            raise StoreUnavailable(reason(error)) from error

    return create_async_engine("postgresql+asyncpg://", async_creator=open_connection)


def _upgrade(connection: "Connection", known: list[Revision]) -> list[str]:
    """Run Alembic's upgrade over revisions made from the files; the caller's transaction holds it all."""
    from alembic.runtime.migration import MigrationContext, RevisionStep
    from alembic.script.base import Script
    from alembic.script.revision import Revision as AlembicRevision
    from alembic.script.revision import RevisionMap

    scripts: list[AlembicRevision] = []
    before: str | None = None
    for revision in known:
        scripts.append(Script(_module(revision, before, connection), revision.name, revision.name))
        before = revision.name
    chain = RevisionMap(lambda: scripts)
    names = [revision.name for revision in known]
    todo: list[str] = []

    def steps(heads: Any, _context: MigrationContext) -> list[RevisionStep]:
        todo.extend(_after(names, heads[0] if heads else None))
        ours = [cast("Script", chain.get_revision(name)) for name in todo]
        return [RevisionStep(chain, script, is_upgrade=True) for script in ours]

    MigrationContext.configure(connection, opts={"fn": steps}).run_migrations()
    return todo


def _module(revision: Revision, before: str | None, connection: "Connection") -> ModuleType:
    """Make what Alembic expects of a revision: a module with `down_revision` and `upgrade`."""

    def upgrade() -> None:
        for statement in revision.statements:
            connection.exec_driver_sql(statement)

    module = ModuleType(revision.name)
    vars(module).update(revision=revision.name, down_revision=before, upgrade=upgrade)
    return module
