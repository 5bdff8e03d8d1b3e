"""What many commands have in common: where the settings are read from, and opening the database they name."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click

from gateway.commands.terminal import Refusal
from gateway.domain.clock import Clock
from gateway.domain.ports.store import Store
from gateway.settings import HostPort, Settings, load_settings
from gateway.settings.values import parse_host_port
from gateway.store.engine import open_store
from gateway.store.migrate import schema_is_current

DEFAULT_CONFIG = Path("gateway.toml")
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080


class _Place(click.ParamType[HostPort]):
    """HOST:PORT."""

    name = "HOST:PORT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> HostPort:
        """Refuse what is none."""
        try:
            return value if isinstance(value, HostPort) else parse_host_port(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


health_option = click.option(
    "--health",
    type=_Place(),
    metavar="HOST:PORT",
    help="Serve /healthz, /readyz and /metrics there, without a key: for probes, inside.",
)
config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Addresses and agents.  [default: gateway.toml; without one, a built-in demo]",
)
data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("data"),
    metavar="FOLDER",
    help="Where the SQLite file is, unless GATEWAY_DATABASE_URL says otherwise.  [default: ./data]",
)
host_option = click.option(
    "--host", default=DEFAULT_HOST, show_default=True, help="Address to serve HTTP on; 0.0.0.0 means all."
)
port_option = click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Port to serve HTTP on; 0 takes a free one.",
)


def read_settings(
    config: Path | None,
    data_dir: Path,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    smtp_port: int | None = None,
) -> Settings:
    """The settings in force here. Raises SettingsError."""
    found = config or (DEFAULT_CONFIG if DEFAULT_CONFIG.is_file() else None)
    return load_settings(
        os.environ,
        config_path=found,
        data_dir=data_dir,
        host=host,
        port=port,
        overrides={"smtp_port": smtp_port},
    )


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Store]:
    """The database, which must be there and up to date. Raises Refusal, StoreUnavailable."""
    url = settings.database_url.get_secret_value()
    path = settings.sqlite_path
    if path is not None and not path.exists():
        raise Refusal(f"there is no database at {path}; gateway dev makes it, or gateway migrate")
    if not await schema_is_current(url):
        raise Refusal("the database's schema is not this version's; run: gateway migrate")
    async with open_store(url, Clock(), pool_size=2) as store:
        yield store
