"""What a process does without being asked: the relay, the timers, the drain of the spool."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from gateway.app.core import Core
from gateway.app.plan import Role
from gateway.bus.embedded import EmbeddedBus
from gateway.channel_ports.fetching import media, sweep
from gateway.domain.ports.store import Wake
from gateway.service.call_intents import lose_unroutable
from gateway.service.ingress import Receipts
from gateway.service.spooling import Replay
from gateway.store.spool import Spool
from workers.caps import LOOK_SECONDS, CapsWatch
from workers.closings import Closer
from workers.forward import Broker, Forwarder
from workers.media import MediaFetcher
from workers.relay import Relay
from workers.spool import SpoolDrain
from workers.timers import Timer, Timers, timers

_KNOWLEDGE_SECONDS = 5
"""How often the knowledge folders are looked at."""
_REVISIONS_SECONDS = 3600
_SWEEP_SECONDS = 300
"""How often the provider is asked for texts whose webhook never arrived."""


async def open_spool(core: Core, stack: AsyncExitStack) -> Spool | None:
    """Where messages go while the database is away, as SQLite never is."""
    settings = core.settings
    if settings.spool_dir is None or settings.sqlite_path is not None or not core.plan.takes_in:
        return None
    spool = await stack.enter_async_context(Spool(settings.spool_dir, core.clock))
    replay = Replay(core.store, core.acceptance(), Receipts(core.store), core.call_ends())
    drain = SpoolDrain(spool, replay)
    await drain.start()
    stack.push_async_callback(drain.stop)
    return spool


async def start_loops(core: Core, stack: AsyncExitStack) -> None:
    """Start those of this process's roles; the stack stops them."""
    if isinstance(core.bus, EmbeddedBus):
        core.store.on_wake(Wake.OUTBOX, core.bus.wake)
        core.store.hand_over_to(core.bus)
    else:
        await _start_publishing(core, core.bus, stack)
    if Role.TIMERS in core.plan.roles:
        looking = Timers(_timers(core, stack))
        await looking.start()
        stack.push_async_callback(looking.stop)


async def _start_publishing(core: Core, bus: Broker, stack: AsyncExitStack) -> None:
    """Every process publishes its own rows; the relays publish what is left."""
    store = core.store
    forwarder = Forwarder(core.outbox, bus)
    store.hand_over_to(forwarder)
    stack.push_async_callback(forwarder.stop)
    if Role.RELAY in core.plan.roles:
        relay = Relay(core.outbox, bus, lambda body: store.write(lose_unroutable, body))
        store.on_wake(Wake.OUTBOX, relay.wake)
        await relay.start()
        stack.push_async_callback(relay.stop)


def _timers(core: Core, stack: AsyncExitStack) -> Sequence[Timer]:
    store, settings, configured = core.store, core.settings, core.configured
    attachments = core.attachments()
    closer = Closer(store, configured.summarise, configured.meter)
    fetchers = media(settings)
    stack.push_async_callback(fetchers.close)
    fetching = MediaFetcher(store, attachments, fetchers.by_provider, configured.window, settings.partitions)
    return (
        *timers(store, settings.partitions, configured.fallbacks, closer, configured.calls),
        Timer("revisions", _REVISIONS_SECONDS, configured.look_after_revisions),
        Timer("caps", LOOK_SECONDS, CapsWatch(store, configured.caps, settings.partitions).look),
        Timer("files", 30, attachments.remove_unreferred),
        Timer("media", 1, fetching.look),
        Timer("knowledge", _KNOWLEDGE_SECONDS, core.indexer().look),
        *(() if core.warm is None else (Timer("transfers", 1, core.warm.look),)),
        *_sweeps(core, stack),
    )


def _sweeps(core: Core, stack: AsyncExitStack) -> Sequence[Timer]:
    found = sweep(core.settings, core.configured.current, core.store, core.clock, core.acceptance())
    if found is None:
        return ()
    stack.push_async_callback(found.close)
    return (Timer("sweep", _SWEEP_SECONDS, found.sweeper.look),)
