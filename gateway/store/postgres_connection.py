"""Connections to PostgreSQL: how they are opened, how long they may take, and which errors may pass."""

from typing import Any

import asyncpg
from asyncpg.exceptions._base import InterfaceError, InternalClientError, PostgresError

from gateway.store.engine import StoreUnavailable

CONNECT_SECONDS = 5.0
"""How long a unit waits for a connection, new or pooled."""
COMMAND_SECONDS = 10.0
"""How long one statement may take."""

CONFLICTS = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
"""The transaction lost against another one and may simply be run again."""
DRIVER_ERRORS = (OSError, TimeoutError, PostgresError, InterfaceError, InternalClientError)
"""Everything the driver raises; the last also between the goodbye of a server and its hanging up."""
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresIOError,
    asyncpg.ReadOnlySQLTransactionError,
)


async def connect(url: str, application_name: str, *, command_timeout: float | None = CONNECT_SECONDS) -> Any:
    """Open one connection outside any pool; raises what is in DRIVER_ERRORS."""
    return await asyncpg.connect(
        url,
        timeout=CONNECT_SECONDS,
        command_timeout=command_timeout,
        server_settings={"application_name": application_name},
    )


def create_pool(url: str, size: int) -> Any:
    """Return a pool of at most `size` connections; none is opened before it is needed."""
    return asyncpg.create_pool(
        url,
        min_size=0,
        max_size=size,
        init=_text_ids,
        reset=_leave_as_is,
        timeout=CONNECT_SECONDS,
        command_timeout=COMMAND_SECONDS,
        statement_cache_size=512,
        max_cached_statement_lifetime=0,
        server_settings={
            "application_name": "gateway",
            "jit": "off",
            "plan_cache_mode": "force_generic_plan",
        },
    )


async def _text_ids(connection: Any) -> None:
    """Have ids travel as text, as SQLite has them; JSON does so by itself."""
    await connection.set_type_codec("uuid", schema="pg_catalog", encoder=str, decoder=str, format="text")


async def _leave_as_is(_connection: Any) -> None:
    """Skip the pool's reset query, a round trip per unit: units leave nothing behind in a session."""


def is_lost(connection: Any) -> bool:
    """Whether a pooled connection has broken; the pool takes it away from us then."""
    try:
        return bool(connection.is_closed())
    except InterfaceError:
        return True


def translated(error: Exception, connection: Any, *, commits: bool) -> Exception:
    """Return StoreUnavailable for what may pass (connection lost, time-out, shutdown), else the error.

    `commits` says that the statement, had it succeeded, would have been durable: if its answer was lost the
    outcome is unknown, while an error the server reported means that nothing was stored.
    """
    if not isinstance(error, _AWAY) and not is_lost(connection):
        return error
    answered = isinstance(error, PostgresError) and not isinstance(error, asyncpg.PostgresConnectionError)
    return StoreUnavailable(reason(error), outcome_unknown=commits and not answered)


def reason(error: Exception) -> str:
    """Say in a sentence, without address or password, why the database cannot be used."""
    return f"the database does not answer ({type(error).__name__})"
