"""Starts the parts of one process in order, and has them stopped in reverse."""

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from channels.email.thread import ThreadMarks
from gateway import __version__, crash, tracing
from gateway.app.configured import Configured
from gateway.app.consumers import start_consumers
from gateway.app.core import Core
from gateway.app.database import open_database
from gateway.app.doors import start_health, start_http, start_smtp
from gateway.app.files import check_files, open_files
from gateway.app.loops import open_spool, start_loops
from gateway.app.plan import Plan, StartRefused, StopAsked
from gateway.app.transfers import open_transfers
from gateway.bus.embedded import EmbeddedBus
from gateway.domain.clock import Clock
from gateway.domain.errors import Unavailable
from gateway.domain.ports.bus import Bus
from gateway.domain.ports.store import Store
from gateway.http_server import HttpServer
from gateway.service.outbox import StoredOutbox
from gateway.settings import Settings, SettingsError, load_config
from gateway.store.lock import DataFolderLocked
from workers.agents.http import HttpAgents

if TYPE_CHECKING:
    from gateway.bus.rabbit import RabbitBus

_log = logging.getLogger(__name__)

_GARBAGE = (10_000, 20, 50)
"""Objects, and collections of the younger generation, after which each is collected."""


@dataclass(frozen=True, kw_only=True)
class App:
    """A running process."""

    settings: Settings
    store: Store
    bus: Bus
    http: HttpServer | None
    smtp_port: int | None
    configured: Configured

    @property
    def http_url(self) -> str:
        """Where HTTP is served. Raises RuntimeError in a process that serves none."""
        if self.http is None:
            raise RuntimeError("this process serves no HTTP")
        return f"http://{self.settings.host}:{self.http.port}"

    @property
    def smtp_url(self) -> str | None:
        """Where mail is taken."""
        return None if self.smtp_port is None else f"smtp://{self.settings.smtp_host}:{self.smtp_port}"

    @property
    def ready_line(self) -> str:
        """What a script waits for."""
        places = [place for place in (self.http and self.http_url, self.smtp_url) if place]
        return " ".join(("ready", *places))

    async def reload(self) -> None:
        """Read gateway.toml again; one that is not valid changes nothing."""
        try:
            await self.configured.replace(load_config(self.settings.config_path, self.settings.mail_domain))
        except (SettingsError, Unavailable) as error:
            _log.error("gateway.toml was not taken", extra={"action": "reload.refused", "reason": str(error)})
            return
        _log.info("gateway.toml was read again", extra={"action": "reload.done"})


async def run(settings: Settings, plan: Plan) -> None:
    """Run a process until SIGTERM or SIGINT, then drain. A second signal ends it at once.

    Raises StartRefused when it cannot start.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def on_signal() -> None:
        if stop.is_set():
            raise SystemExit(1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    with suppress(StopAsked):
        async with running(settings, plan, stop=stop) as app:

            def on_hang_up() -> None:
                reload = loop.create_task(app.reload())
                reloads.add(reload)
                reload.add_done_callback(reloads.discard)

            loop.add_signal_handler(signal.SIGHUP, on_hang_up)
            _keep_what_is_loaded()
            if plan.announce is not None:
                plan.announce(app.ready_line)
            await stop.wait()
            _log.info("draining", extra={"action": "drain.begin"})


def _keep_what_is_loaded() -> None:
    """Have the collector look at what comes and goes only, and less often: a tenth of a turn went there."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)


@asynccontextmanager
async def running(
    settings: Settings, plan: Plan, clock: Clock | None = None, stop: asyncio.Event | None = None
) -> AsyncIterator[App]:
    """A process that runs as long as the block does. Raises StartRefused when it cannot start.

    `stop`: set where it is not to start any more; StopAsked then, where it waits for the database.
    """
    clock = clock or Clock()
    async with AsyncExitStack() as stack:
        try:
            app = await _start(settings, plan, clock, stop or asyncio.Event(), stack)
        except (Unavailable, OSError, DataFolderLocked, SettingsError) as error:
            raise StartRefused(str(error)) from error
        yield app


async def _start(
    settings: Settings, plan: Plan, clock: Clock, stop: asyncio.Event, stack: AsyncExitStack
) -> App:
    """Store, bus, workers, then the doors: nothing is let in before somebody can work it off."""
    _arm(settings)
    _record_traces(settings, plan, stack)
    core = open_transfers(await _start_core(settings, plan, clock, stop, stack), stack)
    # only what comes in by a door is spooled: what a worker cannot store stays in its queue
    spooled = replace(core, spool=await open_spool(core, stack))
    await start_health(spooled, stack)
    stack.push_async_callback(core.bus.stop)
    consumers = await start_consumers(core, stack)
    await core.bus.start(consumers)
    stack.push_async_callback(core.bus.drain, settings.drain_seconds)
    await start_loops(core, stack)
    return App(
        settings=settings,
        store=core.store,
        bus=core.bus,
        http=await start_http(spooled, stack),
        smtp_port=await start_smtp(spooled, stack),
        configured=core.configured,
    )


def _arm(settings: Settings) -> None:
    point = settings.crash_at
    crash.arm(point)
    if point is not None:
        _log.warning(
            "this process will kill itself; GATEWAY_CRASH_AT is for tests only",
            extra={"action": "crash.armed", "point": point.value},
        )


def _record_traces(settings: Settings, plan: Plan, stack: AsyncExitStack) -> None:
    """First of all, so that it stops last."""
    endpoint = settings.otel_endpoint
    if endpoint is None:
        return
    from gateway.tracing.otlp import OtlpRecorder  # the SDK costs time and memory

    recorder = OtlpRecorder(endpoint, roles=" ".join(sorted(plan.roles)), version=__version__)
    stack.push_async_callback(recorder.close)
    tracing.record(recorder)
    stack.callback(tracing.stop_recording)


async def _start_core(
    settings: Settings, plan: Plan, clock: Clock, stop: asyncio.Event, stack: AsyncExitStack
) -> Core:
    """What every role shares; the bus is made here and started once it has consumers."""
    store, secret = await open_database(settings, plan, clock, stop, stack)
    outbox = StoredOutbox(store)
    http_agents = HttpAgents(
        settings.agent_secret.get_secret_value() if settings.agent_secret else None, clock
    )
    bus = _make_bus(settings, outbox, clock)
    await stack.enter_async_context(http_agents)
    configured = Configured(settings.config, http_agents, store)
    files = open_files(settings)
    await check_files(files, plan)
    return Core(
        settings=settings,
        plan=plan,
        clock=clock,
        store=store,
        outbox=outbox,
        bus=bus,
        configured=configured,
        marks=ThreadMarks(settings.mail_domain, (secret,)),
        files=files,
    )


def _make_bus(settings: Settings, outbox: StoredOutbox, clock: Clock) -> "EmbeddedBus | RabbitBus":
    if settings.amqp_url is None:
        return EmbeddedBus(outbox, clock, settings.partitions)
    from gateway.bus.rabbit import RabbitBus  # FastStream costs time and memory

    url = settings.amqp_url.get_secret_value()
    return RabbitBus(url, settings.amqp_prefix, settings.partitions, outbox, clock)
