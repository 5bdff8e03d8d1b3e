"""A whole gateway in this process, over a database that has its schema already."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.app import WORKER_ROLES, App, Plan, Role, running
from gateway.bench.private_server import free_ports
from gateway.settings import load_settings
from tests.schema import schema_file

HOST = "127.0.0.1"
ALL_BUT_SMTP = WORKER_ROLES | {Role.SERVE}


@asynccontextmanager
async def in_process(
    folder: Path,
    config: str,
    environ: Mapping[str, str],
    *,
    port: int | None = None,
    roles: frozenset[Role] = ALL_BUT_SMTP,
) -> AsyncIterator[App]:
    """A running gateway with this gateway.toml; `port`: where it serves, a free one unless given."""
    path = folder / "gateway.toml"
    path.write_text(config, encoding="utf-8")
    (place,) = free_ports(1) if port is None else (port,)
    settings = load_settings(environ, config_path=path, data_dir=folder, host=HOST, port=place)
    if settings.sqlite_path is not None:
        await schema_file(settings.sqlite_path)
    async with running(settings, Plan(roles=roles, migrate=True)) as app:
        yield app
