"""The composition root: one process of any roles, started in order and stopped in reverse.

Nothing outside this module and its neighbours `channel_ports`, `cli` and `commands` knows which
store, bus, channels and workers a process has.
"""

import asyncio
import gc
import logging
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from starlette.routing import Route

from channels.contract import Ingress
from channels.email.reader import MailReader
from channels.email.thread import ThreadMarks
from gateway import __version__, crash, tracing
from gateway.api.application import ApiDeps, Surface, build_api, build_health, let_go
from gateway.bus.embedded import EmbeddedBus
from gateway.bus.rabbit import RabbitBus
from gateway.bus.topology import WEBHOOKS
from gateway.channel_ports import (
    MailWorkers,
    mail_intake,
    mail_server,
    mail_webhook_routes,
    media,
    receives_mail_by_webhook,
    senders,
    sweep,
    webhook_routes,
)
from gateway.domain.clock import Clock
from gateway.domain.consent import ConsentTexts
from gateway.domain.conversation import Conversation
from gateway.domain.delivery import SendRules
from gateway.domain.errors import Unavailable
from gateway.domain.fallback import Fallbacks
from gateway.domain.message import Channel
from gateway.domain.ports import AttachmentStore, Bus, Consume, Consumer, Store, Tx, Wake
from gateway.domain.reply import ServedAgent
from gateway.http_server import HttpServer
from gateway.service.ask import Dialogues, Waiting
from gateway.service.attachments import Attachments
from gateway.service.ingress import Acceptance, Receipts, Reports
from gateway.service.outbox import StoredOutbox
from gateway.service.routes import consent_texts_of, fallbacks_of, send_rules_of
from gateway.service.secret import shared_secret
from gateway.service.spooling import Replay, SpooledAcceptance, SpooledKeep, SpooledReceipts
from gateway.settings import GatewayConfig, HostPort, Settings, SettingsError, load_config
from gateway.store.attachment_folder import AttachmentFolder
from gateway.store.engine import open_store
from gateway.store.lock import DataFolderLocked, lock_data_folder
from gateway.store.migrate import migrate, schema_is_current
from gateway.store.spool import Spool
from workers.agents.catalogue import Catalogue, build_agents
from workers.agents.http import HttpAgents
from workers.brakes import Brakes
from workers.deliveries import DeliveryWorker
from workers.liveness import Liveness
from workers.media import MediaFetcher
from workers.relay import Relay
from workers.spool import SpoolDrain
from workers.timers import Timer, Timers, timers
from workers.turns import TurnLimits, TurnWorker
from workers.voice import VoiceWorker
from workers.webhook_post import WebhookPoster
from workers.webhooks import WebhookWorker

_log = logging.getLogger(__name__)

DELIVERY_CHANNELS = ("sms", "email", "voice")
_MAIL_THREADS = 4
_HEALTH_GRACE_SECONDS = 1.0
_GARBAGE = (10_000, 20, 50)
"""Objects, and collections of the younger generation, after which each is collected."""
SWEEP_SECONDS = 300
"""How often the provider is asked for texts whose webhook never arrived."""
_FAN_OUTS = 16
"""Facts fanned out at once."""


class Role(StrEnum):
    """What a process does."""

    SERVE = "serve"
    SMTP = "smtp"
    TURNS = "turns"
    DELIVERIES = "deliveries"
    RELAY = "relay"
    TIMERS = "timers"
    WEBHOOKS = "webhooks"
    VOICE = "voice"


WORKER_ROLES = frozenset(Role) - {Role.SERVE, Role.SMTP}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One process: its roles and how it serves them."""

    roles: frozenset[Role]
    surface: Surface = Surface.ALL
    concurrency: int = 256
    """Queue messages worked off at once, over all queues."""
    lmtp: bool = False
    """Take mail in over LMTP instead of SMTP."""
    migrate: bool = False
    """Bring the schema up to date at the start; else an old schema stops it."""
    health: HostPort | None = None
    """Where else /healthz, /readyz and /metrics are served."""
    announce: Callable[[str], None] | None = None
    """Told the ready line."""

    @property
    def needs_bus(self) -> bool:
        """Who only takes in what comes leaves it in the outbox until the broker is back."""
        works = self.roles - {Role.SERVE, Role.SMTP}
        converses = Role.SERVE in self.roles and self.surface is not Surface.PUBLIC
        return bool(works) or converses


class StartRefused(Exception):
    """The process cannot start; the message says what to do, in one line."""


class _Configured:
    """The configuration in force and the agents it declares; replaced together on a reload."""

    def __init__(self, config: GatewayConfig, http_agents: HttpAgents) -> None:
        self._http_agents = http_agents
        self.config = config
        self._agents: Catalogue = build_agents(config, http_agents)

    def current(self) -> GatewayConfig:
        """The configuration in force."""
        return self.config

    def agent(self, agent_id: str) -> ServedAgent | None:
        """An agent by id."""
        return self._agents.get(agent_id)

    def fallbacks(self, conversation: Conversation) -> Fallbacks:
        """What a conversation's end user gets when nobody answers."""
        return fallbacks_of(self.config, conversation)

    def send_rules(self, channel: Channel, address: str) -> SendRules:
        """How what goes out from one of our addresses is sent."""
        return send_rules_of(self.config, channel, address)

    def window(self, channel: Channel, ours: str | None) -> timedelta:
        """How long a turn at one of our addresses waits for more input."""
        return timedelta(seconds=self.config.channel(channel, ours).coalesce_seconds)

    def consent(self, conversation: Conversation) -> ConsentTexts:
        """What is said to somebody who wants no more messages."""
        values = self.config.channel(conversation.channel, conversation.our_address)
        ours = conversation.our_address
        senders = () if ours is None else self.config.senders_with(conversation.channel, ours)
        return consent_texts_of(self.config, values, senders)

    def replace(self, config: GatewayConfig) -> None:
        """Take a new configuration, or raise SettingsError and keep the old one."""
        if config.organization_id != self.config.organization_id:
            raise SettingsError(["organisation.name: cannot change while the gateway runs; restart it"])
        self._agents = build_agents(config, self._http_agents)
        self.config = config


@dataclass(frozen=True, kw_only=True)
class App:
    """A running process."""

    settings: Settings
    store: Store
    bus: Bus
    http: HttpServer | None
    smtp_port: int | None
    configured: _Configured

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

    def reload(self) -> None:
        """Read gateway.toml again; one that is not valid changes nothing."""
        try:
            self.configured.replace(load_config(self.settings.config_path, self.settings.mail_domain))
        except SettingsError as error:
            _log.error("gateway.toml was not taken", extra={"action": "reload.refused", "reason": str(error)})
            return
        _log.info("gateway.toml was read again", extra={"action": "reload.done"})


async def run(settings: Settings, plan: Plan) -> None:
    """Run a process until SIGTERM or SIGINT, then drain. A second signal ends it at once.

    Raises StartRefused when it cannot start.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            raise SystemExit(1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    async with running(settings, plan) as app:
        loop.add_signal_handler(signal.SIGHUP, app.reload)
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
async def running(settings: Settings, plan: Plan, clock: Clock | None = None) -> AsyncIterator[App]:
    """A process that runs as long as the block does. Raises StartRefused when it cannot start."""
    clock = clock or Clock()
    async with AsyncExitStack() as stack:
        try:
            app = await _Start(settings, plan, clock, stack).app()
        except (Unavailable, OSError, DataFolderLocked, SettingsError) as error:
            raise StartRefused(str(error)) from error
        yield app


class _Start:
    """Starts the parts of one process in order; the exit stack stops them in reverse."""

    def __init__(self, settings: Settings, plan: Plan, clock: Clock, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._plan = plan
        self._clock = clock
        self._stack = stack

    async def app(self) -> App:
        """Store, bus, workers, then the doors: nothing is let in before somebody can work it off."""
        settings = self._settings
        self._arm()
        self._record_traces()
        store = await self._open_store()
        outbox = StoredOutbox(store)
        bus = self._make_bus(outbox)
        http_agents = HttpAgents(
            settings.agent_secret.get_secret_value() if settings.agent_secret else None, self._clock
        )
        await self._stack.enter_async_context(http_agents)
        configured = _Configured(settings.config, http_agents)
        await store.write(_register, configured.config)
        marks = ThreadMarks(settings.mail_domain, (await store.write(shared_secret, "mail"),))
        spool = await self._open_spool(store, configured)
        await self._start_health(store, bus, configured, spool)
        self._stack.push_async_callback(bus.stop)
        consumers = await self._start_workers(store, bus, configured, marks)
        await bus.start(consumers)
        self._stack.push_async_callback(bus.drain, settings.drain_seconds)
        await self._start_loops(store, bus, outbox, configured)
        http = await self._start_http(store, bus, configured, marks, spool)
        smtp_port = await self._start_smtp(store, bus, configured, marks, spool)
        return App(
            settings=settings,
            store=store,
            bus=bus,
            http=http,
            smtp_port=smtp_port,
            configured=configured,
        )

    def _arm(self) -> None:
        point = self._settings.crash_at
        crash.arm(point)
        if point is not None:
            _log.warning(
                "this process will kill itself; GATEWAY_CRASH_AT is for tests only",
                extra={"action": "crash.armed", "point": point.value},
            )

    def _record_traces(self) -> None:
        """First of all, so that it stops last."""
        endpoint = self._settings.otel_endpoint
        if endpoint is None:
            return
        from gateway.tracing.otlp import OtlpRecorder  # the SDK costs time and memory

        recorder = OtlpRecorder(endpoint, roles=" ".join(sorted(self._plan.roles)), version=__version__)
        self._stack.push_async_callback(recorder.close)
        tracing.record(recorder)
        self._stack.callback(tracing.stop_recording)

    async def _open_store(self) -> Store:
        settings = self._settings
        url = settings.database_url.get_secret_value()
        if settings.sqlite_path is not None:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
            settings.sqlite_path.parent.mkdir(parents=True, exist_ok=True)
            self._stack.enter_context(lock_data_folder(settings.data_dir))
        if self._plan.migrate:
            await migrate(url)
        elif not await schema_is_current(url):
            raise StartRefused("the database schema is not up to date; run: gateway migrate")
        store = await self._stack.enter_async_context(open_store(url, self._clock))
        if settings.embedded:
            await store.write(_clear_predecessor)
        return store

    def _make_bus(self, outbox: StoredOutbox) -> EmbeddedBus | RabbitBus:
        settings = self._settings
        if settings.amqp_url is None:
            return EmbeddedBus(outbox, self._clock, settings.partitions)
        return RabbitBus(
            settings.amqp_url.get_secret_value(),
            settings.amqp_prefix,
            settings.partitions,
            outbox,
            self._clock,
        )

    async def _start_workers(
        self, store: Store, bus: Bus, configured: _Configured, marks: ThreadMarks
    ) -> list[Consumer]:
        """The consumers of this process."""
        return [
            *await self._start_leased(store, bus, configured, marks),
            *await self._start_webhooks(store),
        ]

    async def _start_webhooks(self, store: Store) -> list[Consumer]:
        if Role.WEBHOOKS not in self._plan.roles:
            return []
        settings = self._settings
        poster = WebhookPoster(self._clock, allow_private=settings.webhook_allow_private)
        await self._stack.enter_async_context(poster)
        webhooks = WebhookWorker(store, poster, self._clock)
        await webhooks.start()
        self._stack.push_async_callback(webhooks.stop, settings.drain_seconds)
        # beside the concurrency: to fan out is one short statement, and it calls nobody
        return [Consumer(WEBHOOKS, webhooks.consume, _FAN_OUTS)]

    async def _start_leased(
        self, store: Store, bus: Bus, configured: _Configured, marks: ThreadMarks
    ) -> list[Consumer]:
        """Those whose work is held by leases; their liveness row comes first and goes last."""
        roles = self._plan.roles
        if not roles & {Role.TURNS, Role.DELIVERIES, Role.VOICE}:
            return []
        liveness = Liveness(store, self._clock, roles=" ".join(sorted(roles)))
        await liveness.start()
        self._stack.push_async_callback(liveness.stop)
        settings = self._settings
        wanted: list[tuple[str, Consume]] = []
        if Role.TURNS in roles:
            limits = TurnLimits(
                settings.turn_timeout_seconds, settings.partitions, configured.fallbacks, configured.consent
            )
            brakes = Brakes(store)
            await brakes.start()
            self._stack.push_async_callback(brakes.stop)
            turns = TurnWorker(store, bus.replies, configured.agent, liveness, brakes, limits)
            wanted += [(f"turns.{n}", turns.consume) for n in range(settings.partitions)]
        if Role.DELIVERIES in roles:
            outgoing = senders(settings, configured.current, store, self._clock, marks)
            self._stack.push_async_callback(outgoing.close)
            deliveries = DeliveryWorker(store, outgoing.of, liveness, configured.send_rules)
            wanted += [(f"deliveries.{channel}", deliveries.consume) for channel in DELIVERY_CHANNELS]
        if Role.VOICE in roles:
            wanted.append(("voice.events", self._voice_worker(store, bus, configured).consume))
        return _shared_out(wanted, self._plan.concurrency)

    def _voice_worker(self, store: Store, bus: Bus, configured: _Configured) -> VoiceWorker:
        ingress = self._ingress(store, bus, configured)
        return VoiceWorker(
            store,
            ingress.accept,
            ingress.dialogue,
            self._clock,
            configured.config.organization_id,
        )

    async def _start_loops(
        self, store: Store, bus: EmbeddedBus | RabbitBus, outbox: StoredOutbox, configured: _Configured
    ) -> None:
        roles = self._plan.roles
        if isinstance(bus, EmbeddedBus):
            store.on_wake(Wake.OUTBOX, bus.wake)
        elif Role.RELAY in roles:
            relay = Relay(outbox, bus)
            store.on_wake(Wake.OUTBOX, relay.wake)
            await relay.start()
            self._stack.push_async_callback(relay.stop)
        if Role.TIMERS in roles:
            attachments = self._attachments(store, configured)
            fetchers = media(self._settings)
            self._stack.push_async_callback(fetchers.close)
            fetching = MediaFetcher(
                store, attachments, fetchers.by_provider, configured.window, self._settings.partitions
            )
            looking = Timers(
                (
                    *timers(store, self._settings.partitions, configured.fallbacks),
                    Timer("files", 30, attachments.remove_unreferred),
                    Timer("media", 1, fetching.look),
                    *self._sweeps(store, configured),
                )
            )
            await looking.start()
            self._stack.push_async_callback(looking.stop)

    def _sweeps(self, store: Store, configured: _Configured) -> Sequence[Timer]:
        accept = self._acceptance(store, configured)
        found = sweep(self._settings, configured.current, store, self._clock, accept)
        if found is None:
            return ()
        self._stack.push_async_callback(found.close)
        return (Timer("sweep", SWEEP_SECONDS, found.sweeper.look),)

    async def _open_spool(self, store: Store, configured: _Configured) -> Spool | None:
        """Where messages go while the database is away, as SQLite never is."""
        settings = self._settings
        takes_in = Role.SMTP in self._plan.roles or (
            Role.SERVE in self._plan.roles and self._plan.surface is not Surface.PRIVATE
        )
        if settings.spool_dir is None or settings.sqlite_path is not None or not takes_in:
            return None
        spool = await self._stack.enter_async_context(Spool(settings.spool_dir, self._clock))
        drain = SpoolDrain(spool, Replay(store, self._acceptance(store, configured), Receipts(store)))
        await drain.start()
        self._stack.push_async_callback(drain.stop)
        return spool

    def _acceptance(self, store: Store, configured: _Configured) -> Acceptance:
        settings = self._settings
        api_url = settings.api_url or settings.public_url
        return Acceptance(store, configured.current, settings.partitions, api_url)

    def _ingress(
        self, store: Store, bus: Bus, configured: _Configured, spool: Spool | None = None
    ) -> Ingress:
        settings = self._settings
        acceptance, receipts = self._acceptance(store, configured), Receipts(store)
        attachments = self._attachments(store, configured)
        waiting = self._waiting(store, bus)
        return Ingress(
            accept=acceptance if spool is None else SpooledAcceptance(acceptance, spool),
            keep=attachments if spool is None else SpooledKeep(attachments, spool),
            report=Reports(store),
            receive=receipts if spool is None else SpooledReceipts(receipts, spool),
            dialogue=Dialogues(
                store,
                acceptance,
                waiting,
                organization_id=configured.config.organization_id,
                partitions=settings.partitions,
            ),
            public_url=settings.public_url,
            clock=self._clock,
        )

    def _files(self) -> AttachmentStore:
        settings = self._settings
        return AttachmentFolder(settings.attachments_folder or settings.data_dir / "attachments")

    def _attachments(self, store: Store, configured: _Configured) -> Attachments:
        settings = self._settings
        organization_id = configured.config.organization_id
        return Attachments(store, self._files(), organization_id, settings.attachment_max_bytes)

    def _waiting(self, store: Store, bus: Bus) -> Waiting:
        return Waiting(
            store,
            bus.replies,
            self._clock,
            turn_timeout=self._settings.turn_timeout_seconds,
            partitions=self._settings.partitions,
        )

    def _api_deps(
        self, store: Store, bus: Bus, configured: _Configured, spool: Spool | None, routes: Sequence[Route]
    ) -> ApiDeps:
        settings = self._settings
        return ApiDeps(
            store=store,
            waiting=self._waiting(store, bus),
            files=self._files(),
            config=configured.current,
            partitions=settings.partitions,
            queue_prefix=settings.amqp_prefix,
            api_keys=settings.api_keys,
            clock=self._clock,
            surface=self._plan.surface,
            webhook_routes=routes,
            checks={"bus": bus.check},
            spared=frozenset() if self._plan.needs_bus else frozenset({"bus"}),
            spool=spool,
            version=__version__,
        )

    async def _start_health(
        self, store: Store, bus: Bus, configured: _Configured, spool: Spool | None
    ) -> None:
        """Before everything that may take its time to start, and gone after everything that drains."""
        place = self._plan.health
        if place is None:
            return
        health = build_health(self._api_deps(store, bus, configured, spool, ()))
        server = HttpServer(health, place.host, place.port)
        await server.start()
        self._stack.push_async_callback(server.stop, _HEALTH_GRACE_SECONDS)

    async def _start_http(
        self, store: Store, bus: Bus, configured: _Configured, marks: ThreadMarks, spool: Spool | None
    ) -> HttpServer | None:
        if Role.SERVE not in self._plan.roles:
            return None
        settings = self._settings
        routes = self._webhooks(self._ingress(store, bus, configured, spool), marks)
        api = build_api(self._api_deps(store, bus, configured, spool, routes))
        server = HttpServer(api, settings.host, settings.port)
        await server.start()
        self._stack.push_async_callback(server.stop, settings.drain_seconds)
        self._stack.callback(let_go, api)  # before the server waits for what is in flight
        return server

    def _webhooks(self, ingress: Ingress, marks: ThreadMarks) -> Sequence[Route]:
        settings = self._settings
        routes = webhook_routes(settings, ingress)
        if not receives_mail_by_webhook(settings):
            return routes
        intake = mail_intake(settings, ingress, marks, self._mail_workers())
        return (*routes, *mail_webhook_routes(settings, intake, self._clock))

    def _mail_workers(self) -> MailWorkers:
        """They end after the door that uses them."""
        threads, reader = ThreadPoolExecutor(_MAIL_THREADS, "mail"), MailReader()
        self._stack.callback(threads.shutdown, wait=False, cancel_futures=True)
        self._stack.push_async_callback(reader.close)
        return MailWorkers(reader, threads)

    async def _start_smtp(
        self, store: Store, bus: Bus, configured: _Configured, marks: ThreadMarks, spool: Spool | None
    ) -> int | None:
        if Role.SMTP not in self._plan.roles:
            return None
        settings = self._settings
        ingress = self._ingress(store, bus, configured, spool)
        intake = mail_intake(settings, ingress, marks, self._mail_workers())
        server = mail_server(settings, intake, lmtp=self._plan.lmtp)
        _, port = await server.start(settings.smtp_host, settings.smtp_port)
        self._stack.push_async_callback(server.stop, settings.drain_seconds)
        return port


def _shared_out(wanted: list[tuple[str, Consume]], concurrency: int) -> list[Consumer]:
    """Prefetch over all queues sums to the concurrency, but for at least one each.

    Each kind of work has an equal part of it: shared by queue, the sixteen of the turns would leave the one
    queue of all text messages with next to nothing.
    """
    queues = Counter(_kind(queue) for queue, _ in wanted)
    return [
        Consumer(queue, consume, max(1, concurrency // len(queues) // queues[_kind(queue)]))
        for queue, consume in wanted
    ]


def _kind(queue: str) -> str:
    return queue.partition(".")[0]


async def _clear_predecessor(tx: Tx) -> None:
    """An embedded start: whoever held leases and claims here is dead."""
    await tx.run("workers_clear")
    await tx.run("outbox_reset")
    await tx.run("webhook_claims_reset")
    await tx.run("closing_claims_reset")


async def _register(tx: Tx, config: GatewayConfig) -> None:
    await tx.run("organisation_insert", id=config.organization_id, name=config.organisation)
