"""Statements on a PostgreSQL of the tests, each on a connection of its own."""

import asyncpg


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
