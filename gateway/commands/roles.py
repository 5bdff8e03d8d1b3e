"""`gateway serve`, `smtp` and `worker`: one process each of a distributed deployment."""

import asyncio
import errno
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.commands.options import (
    config_option,
    data_dir_option,
    health_option,
    host_option,
    port_option,
    read_settings,
)
from gateway.commands.terminal import Refusal
from gateway.log import configure_logging, tell_of
from gateway.settings import HostPort, Settings, SettingsError

if TYPE_CHECKING:
    from gateway.app import Plan

WORKERS = ("turns", "deliveries", "relay", "timers", "webhooks", "voice")
_log = logging.getLogger(__name__)


@click.command(
    epilog="Example: gateway serve --surface public --host 0.0.0.0 --port 8080 behind the load balancer, "
    "gateway serve --surface private --port 8081 inside."
)
@click.option(
    "--surface",
    type=click.Choice(["all", "public", "private"]),
    default="all",
    show_default=True,
    help="public: provider webhooks. private: API, console, metrics.",
)
@host_option
@port_option
@health_option
@config_option
@data_dir_option
def serve(
    surface: str, host: str, port: int, health: HostPort | None, config: Path | None, data_dir: Path
) -> None:
    """Serve HTTP: provider webhooks, API and console.

    Any number of identical processes may run, on any number of machines. SIGTERM drains: requests in flight
    are finished within GATEWAY_DRAIN_SECONDS. SIGHUP reads gateway.toml again.
    """
    settings = shared(read_settings(config, data_dir, host=host, port=port))
    from gateway.api.surface import Surface
    from gateway.app import Plan, Role

    roles = frozenset({Role.SERVE})
    plan = Plan(roles=roles, surface=Surface(surface), health=health, announce=click.echo)
    run_process(settings, plan)


@click.command(epilog="Example: GATEWAY_SMTP_HOST=0.0.0.0 GATEWAY_SMTP_PORT=25 gateway smtp")
@click.option("--lmtp", is_flag=True, help="Speak LMTP: a mail server in front hands the mail over.")
@health_option
@config_option
@data_dir_option
def smtp(lmtp: bool, health: HostPort | None, config: Path | None, data_dir: Path) -> None:
    """Take mail in for GATEWAY_MAIL_DOMAIN.

    Listens on GATEWAY_SMTP_HOST and GATEWAY_SMTP_PORT. A mail is confirmed with 250 once it is stored; while
    it cannot be, the answer is 451 and the sender's server tries again.
    """
    settings = shared(read_settings(config, data_dir))
    from gateway.app import Plan, Role

    roles = frozenset({Role.SMTP})
    run_process(settings, Plan(roles=roles, lmtp=lmtp, health=health, announce=click.echo))


@click.command(
    epilog="Examples: gateway worker (all roles), gateway worker turns --concurrency 128, "
    "gateway worker relay timers"
)
@click.argument("roles", nargs=-1, type=click.Choice(WORKERS), metavar="[ROLE]...")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Turns and deliveries worked on at once.",
)
@health_option
@config_option
@data_dir_option
def worker(
    roles: tuple[str, ...],
    concurrency: int | None,
    health: HostPort | None,
    config: Path | None,
    data_dir: Path,
) -> None:
    """Run turns, deliveries and the work around them. Without a ROLE: all of them.

    \b
    turns       run the agents
    deliveries  send the replies
    relay       publish what the database holds for the queues
    timers      ring what is due, expire what is idle
    webhooks    send outgoing webhooks
    voice       listen to voice hosts

    Any number of processes may run, on any number of machines; each role must run somewhere.
    """
    settings = shared(read_settings(config, data_dir))
    from gateway.app import WORKER_ROLES, Plan, Role

    wanted = frozenset(map(Role, roles)) or WORKER_ROLES
    plan = Plan(roles=wanted, health=health, announce=click.echo)
    run_process(settings, plan if concurrency is None else replace(plan, concurrency=concurrency))


def shared(settings: Settings) -> Settings:
    """The same settings, refused where processes could not reach each other. Raises SettingsError."""
    if settings.embedded:
        raise SettingsError(
            [
                "GATEWAY_AMQP_URL: unset, and separate processes need RabbitMQ between them; "
                "set it, or run everything in one process: gateway dev"
            ]
        )
    return settings


def run_process(settings: Settings, plan: "Plan") -> None:
    """Run until a signal ends it, drained. Raises Refusal when it cannot start."""
    from gateway.app import StartRefused, run

    configure_logging(settings.log_format, settings.log_level.value, bodies=settings.log_bodies)
    for warning in settings.warnings:
        _log.warning("%s", warning, extra={"action": "settings.warning"})
    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            tell_of(runner.get_loop())
            try:
                runner.run(run(settings, plan))
            except SystemExit:
                # the second signal: what is in flight is left to whoever starts next, as after a kill
                _log.warning("ended without draining", extra={"action": "drain.cut"})
                sys.stdout.flush()
                os._exit(1)
    except StartRefused as refused:
        raise Refusal(_reason(refused, settings)) from refused


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # not on Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _reason(refused: Exception, settings: Settings) -> str:
    cause = refused.__cause__
    if isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE:
        return (
            f"a port is taken: HTTP wants {settings.host}:{settings.port}, "
            f"mail {settings.smtp_host}:{settings.smtp_port}; choose another, see --help"
        )
    if isinstance(cause, OSError) and cause.filename is not None:
        return f"{cause.filename}: {cause.strerror}"
    return str(refused)
