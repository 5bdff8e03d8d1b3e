"""Brings a database's schema up to date: SQL files in order, run and recorded by Alembic in one transaction.

A revision is `NNNN_noun.sql` (both databases), followed by `NNNN_noun.postgres.sql` or `NNNN_noun.sqlite.sql`
where one needs more; either may be missing. There is no Alembic environment: the files make the revision.
Only `migrate` loads Alembic and SQLAlchemy, so that a process that merely serves does without.
"""

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from gateway.store.engine import StoreUnavailable, sqlite_path
from gateway.store.sql import split_statements

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

WAIT_SECONDS = 60
"""How long a migration waits for another one, or for a table that is in use."""
_ADVISORY_LOCK = 0x6761_7465_7761_7900
_FILE = re.compile(r"(?P<revision>(?P<number>[0-9]{4})_[a-z0-9_]+)(?:\.(?P<dialect>sqlite|postgres))?\.sql")
_VERSION = "SELECT version_num FROM alembic_version"


class UnknownSchema(RuntimeError):
    """The database's schema is of a version that this program does not have: it is newer."""


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
    path = sqlite_path(url)
    if path is not None:
        names, version = [known.name for known in revisions("sqlite", folder)], _sqlite_version(path)
    else:
        names, version = [known.name for known in revisions("postgres", folder)], await _postgres_version(url)
    return _after(names, version)


def _after(names: list[str], version: str | None) -> list[str]:
    if version is None:
        return names
    if version not in names:
        raise UnknownSchema(f"the database's schema is at {version}, which this program does not know")
    return names[names.index(version) + 1 :]


def _sqlite_version(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(path, timeout=5)) as connection:
            row = connection.execute(_VERSION).fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        raise StoreUnavailable(f"{path} cannot be read: {error}") from error
    return None if row is None else str(row[0])


async def _postgres_version(url: str) -> str | None:
    import asyncpg

    from gateway.store.postgres_connection import DRIVER_ERRORS, connect, reason

    try:
        connection = await connect(url, "gateway")
        try:
            version = await connection.fetchval(_VERSION)
        finally:
            await connection.close()
    except asyncpg.UndefinedTableError:
        return None
    except DRIVER_ERRORS as error:
        raise StoreUnavailable(reason(error)) from error
    return None if version is None else str(version)


async def migrate(url: str, folder: Path | Traversable | None = None) -> list[str]:
    """Apply what is pending, all or nothing, and return it. Two at once wait for each other.

    Raises UnknownSchema, StoreUnavailable, or the database's error; nothing is applied then.
    """
    path = sqlite_path(url)
    dialect = "postgres" if path is None else "sqlite"
    known = revisions(dialect, folder)
    engine = _postgres_engine(url) if path is None else _sqlite_engine(path)
    try:
        async with engine.begin() as connection:
            if path is None:
                await connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'")
                await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
            return await connection.run_sync(_upgrade, known)
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
