"""Databases of a PostgreSQL of the tests, and statements, each on a connection of its own."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg


@contextmanager
def own_database(server_url: str, more: str = "") -> Iterator[str]:
    """The URL of a database of one's own, dropped at the end; `more`: what else its creation says."""
    name = f"t{uuid4().hex[:8]}"
    asyncio.run(execute(server_url, f"CREATE DATABASE {name} {more}"))
    yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    asyncio.run(execute(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


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
