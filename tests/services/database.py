"""Databases of a PostgreSQL of the tests, and statements, each on a connection of its own."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg


@contextmanager
def own_database(server_url: str, template: str = "template1") -> Iterator[str]:
    """The URL of a database of one's own, a copy of the template, dropped at the end."""
    name = f"t{uuid4().hex[:8]}"
    yield asyncio.run(new_database(server_url, name, template))
    asyncio.run(execute(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


async def new_database(server_url: str, name: str, template: str = "template1") -> str:
    """Make a database, a copy of the template; its URL."""
    connection = await asyncpg.connect(server_url)
    try:
        # From version 15 on every page of the copy is logged unless told otherwise: ten times the work.
        how = "STRATEGY FILE_COPY" if connection.get_server_version().major >= 15 else ""
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} {how}")
    finally:
        await connection.close()
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


async def execute(url: str, statements: str) -> None:
    """Run statements that give nothing back."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


async def fetch_value(url: str, query: str) -> object:
    """The first column of the first row."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()
