"""Where a process is spoken to: HTTP, SMTP, and the health of one that serves neither.

The API is imported where it is served: its models cost a worker half a second and memory.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute

from channels.email.reader import MailReader
from gateway import __version__
from gateway.app.core import Core
from gateway.app.plan import Role
from gateway.channel_ports.accounts import calling_modes
from gateway.channel_ports.mail import MailWorkers, mail_intake, mail_server
from gateway.channel_ports.webhooks import (
    LARGE,
    mail_webhook_routes,
    receives_mail_by_webhook,
    webhook_routes,
)
from gateway.http_server import HttpServer
from gateway.service.tokens import Tokens

if TYPE_CHECKING:
    from gateway.api.deps import ApiDeps

_MAIL_THREADS = 4
_HEALTH_GRACE_SECONDS = 1.0


async def start_health(core: Core, stack: AsyncExitStack) -> None:
    """Before everything that may take its time to start, and gone after everything that drains."""
    place = core.plan.health
    if place is None:
        return
    from gateway.api.application import build_health

    server = HttpServer(build_health(_api_deps(core, ())), place.host, place.port)
    await server.start()
    stack.push_async_callback(server.stop, _HEALTH_GRACE_SECONDS)


async def start_http(core: Core, stack: AsyncExitStack) -> HttpServer | None:
    """The API and the webhooks; None in a process that serves none."""
    if Role.SERVE not in core.plan.roles:
        return None
    from gateway import console
    from gateway.api.application import build_api, let_go

    settings = core.settings
    api = build_api(_api_deps(core, _webhooks(core, stack)), (console.router,))
    server = HttpServer(api, settings.host, settings.port)
    await server.start()
    stack.push_async_callback(server.stop, settings.drain_seconds)
    stack.callback(let_go, api)  # before the server waits for what is in flight
    return server


async def start_smtp(core: Core, stack: AsyncExitStack) -> int | None:
    """The port where mail is taken; None in a process that takes none."""
    if Role.SMTP not in core.plan.roles:
        return None
    settings = core.settings
    intake = mail_intake(settings, core.mail_ports(), core.marks, _mail_workers(stack))
    server = mail_server(settings, intake, lmtp=core.plan.lmtp)
    _, port = await server.start(settings.smtp_host, settings.smtp_port)
    stack.push_async_callback(server.stop, settings.drain_seconds)
    return port


def _api_deps(core: Core, routes: Sequence[BaseRoute]) -> "ApiDeps":
    from gateway.api.deps import ApiDeps

    settings = core.settings
    return ApiDeps(
        store=core.store,
        waiting=core.waiting(),
        files=core.files,
        config=core.configured.current,
        partitions=settings.partitions,
        queue_prefix=settings.amqp_prefix,
        api_keys=settings.api_keys,
        clock=core.clock,
        surface=core.plan.surface,
        webhook_routes=routes,
        large=LARGE,
        checks={"bus": core.bus.check},
        spared=frozenset() if core.plan.needs_bus else frozenset({"bus"}),
        spool=core.spool,
        can_call=calling_modes(settings),
        version=__version__,
    )


def _webhooks(core: Core, stack: AsyncExitStack) -> Sequence[BaseRoute]:
    settings = core.settings
    routes = webhook_routes(settings, core.ingress(), stack)
    if not receives_mail_by_webhook(settings):
        return routes
    intake = mail_intake(settings, core.mail_ports(), core.marks, _mail_workers(stack))
    return (*routes, *mail_webhook_routes(settings, intake, core.clock, Tokens(core.store)))


def _mail_workers(stack: AsyncExitStack) -> MailWorkers:
    """They end after the door that uses them."""
    threads, reader = ThreadPoolExecutor(_MAIL_THREADS, "mail"), MailReader()
    stack.callback(threads.shutdown, wait=False, cancel_futures=True)
    stack.push_async_callback(reader.close)
    return MailWorkers(reader, threads)
