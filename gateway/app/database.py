"""The database of a process at its start: waited for, or, with a spool, done without until it comes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from gateway.app.plan import Plan, Role, StartRefused, StopAsked
from gateway.domain.clock import Clock
from gateway.domain.ports.store import Store, Tx
from gateway.service.revisions import activate_revisions
from gateway.service.secret import shared_secret
from gateway.settings import GatewayConfig, Settings
from gateway.store.awaited import AwaitedStore
from gateway.store.engine import StoreUnavailable, open_store
from gateway.store.lock import lock_data_folder
from gateway.store.migrate import migrate, schema_is_current
from workers.timers import ring_for_what_waits

WAIT_SECONDS = 60.0
"""How long a process that cannot do without it waits for a database that does not answer."""
LOOK_SECONDS = 1.0
TELL_SECONDS = 5.0
"""How often it is told that the database is waited for."""
OLD_SCHEMA = "the database schema is not up to date; run: gateway migrate"
SECRET_FILE = "mail.secret"  # noqa: S105 - its name
"""In the spool's folder: what marks our mail, without which no mail can be told from a forged one."""
_TAKE_IN_ONLY = frozenset({Role.SERVE, Role.SMTP})
_log = logging.getLogger(__name__)

Prepare = Callable[[], Awaitable[bytes]]
"""Sees to what has to be in the database before a process works with it; the secret of the marks of mail."""


async def open_database(
    settings: Settings, plan: Plan, clock: Clock, stop: asyncio.Event, stack: AsyncExitStack
) -> tuple[Store, bytes]:
    """The store, and the secret of the marks of mail. The stack closes what is open.

    A process that only takes in, with a spool, and that has once been whole on this disk, starts without the
    database: its store is away until that has come, and has its schema. Any other waits, for a while.
    Raises StoreUnavailable, StartRefused, DataFolderLocked, OSError, and StopAsked once `stop` is set.
    """
    url = settings.database_url.get_secret_value()
    if settings.sqlite_path is not None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        settings.sqlite_path.parent.mkdir(parents=True, exist_ok=True)
        stack.enter_context(lock_data_folder(settings.data_dir))
        await _check_schema(url, plan)
        store = await stack.enter_async_context(open_store(url, clock))
        return store, await _settle(store, settings)
    store = await stack.enter_async_context(open_store(url, clock))

    async def prepare() -> bytes:
        await _check_schema(url, plan)
        return await _settle(store, settings)

    place = _place_of_secret(settings, plan)
    try:
        secret = await prepare()
    except StoreUnavailable as error:
        known = None if place is None else _read_secret(place)
        if known is not None:
            return _without(store, error, prepare, known, clock, stack), known
        secret = await _awaited(prepare, error, clock, stop)
    if place is not None:
        _keep_secret(place, secret)
    return store, secret


async def _check_schema(url: str, plan: Plan) -> None:
    if await schema_is_current(url):
        return
    if not plan.migrate:
        raise StartRefused(OLD_SCHEMA)
    await migrate(url)


async def _settle(store: Store, settings: Settings) -> bytes:
    if settings.embedded:
        await store.write(_clear_predecessor)
        await ring_for_what_waits(store, settings.partitions)
    return await store.write(_register, settings.config)


async def _clear_predecessor(tx: Tx) -> None:
    """An embedded start: whoever held leases and claims here is dead."""
    await tx.run("workers_clear")
    await tx.run("outbox_reset")
    await tx.run("webhook_claims_reset")
    await tx.run("closing_claims_reset")


async def _register(tx: Tx, config: GatewayConfig) -> bytes:
    """The organisation, and the revisions in force before anything is pinned to them; the secret."""
    await tx.run("organisation_insert", id=config.organization_id, name=config.organisation)
    await activate_revisions(tx, config.organization_id, config.agents.values())
    return await shared_secret(tx, "mail")


async def _awaited(prepare: Prepare, away: StoreUnavailable, clock: Clock, stop: asyncio.Event) -> bytes:
    began, telling = clock.monotonic(), _Telling(clock)
    while clock.monotonic() - began < WAIT_SECONDS:
        telling.tell(str(away))
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await stop.wait()
        if stop.is_set():
            raise StopAsked
        try:
            return await prepare()
        except StoreUnavailable as error:
            away = error
    raise away


def _without(
    store: Store,
    away: StoreUnavailable,
    prepare: Prepare,
    known: bytes,
    clock: Clock,
    stack: AsyncExitStack,
) -> AwaitedStore:
    awaited = AwaitedStore(store, str(away))
    opening = asyncio.create_task(_open(awaited, prepare, known, clock), name="database-awaited")
    stack.callback(opening.cancel)
    return awaited


async def _open(awaited: AwaitedStore, prepare: Prepare, known: bytes, clock: Clock) -> None:
    """Have the process become whole once the database is."""
    telling, secret = _Telling(clock), None
    while secret is None:
        telling.tell(awaited.reason)
        await asyncio.sleep(LOOK_SECONDS)
        try:
            secret = await prepare()
        except (StoreUnavailable, StartRefused) as error:
            awaited.reason = str(error)
        except Exception as error:
            # it answers, and not as it should: whoever mends that need not start us again
            awaited.reason = f"the database cannot be used ({type(error).__name__})"
    if secret != known:
        _log.error(
            "this is another database than the one before; restart the process, or it knows no mail of ours",
            extra={"action": "database.changed"},
        )
    awaited.open()
    _log.info("the database is there", extra={"action": "database.there"})


class _Telling:
    """Says what is waited for, at once and then every few seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told = float("-inf")

    def tell(self, reason: str | None) -> None:
        now = self._clock.monotonic()
        if now - self._told < TELL_SECONDS:
            return
        self._told = now
        _log.warning("waiting for the database", extra={"action": "database.awaited", "reason": reason})


def _place_of_secret(settings: Settings, plan: Plan) -> Path | None:
    """Where it is kept; None for a process that cannot do without the database."""
    if settings.spool_dir is None or not plan.takes_in or not plan.roles <= _TAKE_IN_ONLY:
        return None
    return settings.spool_dir / SECRET_FILE


def _read_secret(place: Path) -> bytes | None:
    try:
        return bytes.fromhex(place.read_text("ascii")) or None
    except (OSError, ValueError):
        return None


def _keep_secret(place: Path, secret: bytes) -> None:
    """For the next start; nobody else may read it. Processes may share the folder, and write at once."""
    if _read_secret(place) == secret:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", encoding="ascii", dir=place.parent, delete=False) as new:
        new.write(secret.hex())
    Path(new.name).replace(place)
