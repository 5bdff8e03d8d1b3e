"""Processes that are started while PostgreSQL is away: who takes in starts all the same, the others wait."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.api.surface import Surface
from gateway.app import App, Plan, Role, StartRefused, database, running
from gateway.app.plan import StopAsked
from gateway.bench.private_server import free_ports
from gateway.bench.services import PrivatePostgres
from gateway.domain.clock import Clock
from gateway.domain.errors import Unavailable
from gateway.domain.ports.store import Tx
from gateway.service.revisions import revisions_page
from gateway.service.secret import shared_secret
from gateway.settings import Settings, load_settings
from gateway.store.migrate import migrate

SECONDS = 60.0
SERVE = Plan(roles=frozenset({Role.SERVE}), surface=Surface.PUBLIC)
SMTP = Plan(roles=frozenset({Role.SMTP}))
WORKER = Plan(roles=frozenset({Role.TURNS}))
Configure = Callable[..., Settings]


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Settings of a process with this database, on free ports, and without a broker; it looks often."""
    monkeypatch.setattr(database, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(database, "TELL_SECONDS", 0.1)
    monkeypatch.setattr("gateway.bus.rabbit.START_SECONDS", 0.1)
    config = tmp_path / "gateway.toml"
    config.write_text('[agents.demo]\nkind = "demo"\n')

    def settings(url: str, **more: str) -> Settings:
        (amqp,) = free_ports(1)
        environ = {
            "GATEWAY_DATABASE_URL": url,
            "GATEWAY_AMQP_URL": f"amqp://127.0.0.1:{amqp}/",
            "GATEWAY_SMTP_PORT": "0",
            **more,
        }
        return load_settings(
            environ, config_path=config, data_dir=tmp_path / "data", host="127.0.0.1", port=0
        )

    return settings


def nowhere() -> str:
    """A database that does not answer."""
    (port,) = free_ports(1)
    return f"postgresql://gateway@127.0.0.1:{port}/postgres"


def used(folder: Path) -> str:
    """The spool of a process that has had its database before."""
    folder.mkdir()
    (folder / database.SECRET_FILE).write_text("ab" * 32)
    return str(folder)


async def look(tx: Tx) -> None:
    """What fails as long as the process has no database."""
    await tx.one("ping")


async def readiness(app: App) -> tuple[int, dict[str, Any]]:
    """What /readyz says of the database and the spool."""
    async with aiohttp.ClientSession() as http, http.get(f"{app.http_url}/readyz") as response:
        return response.status, await response.json()


async def until(app: App, told: str) -> None:
    """Wait until /readyz says this of the database."""
    while (await readiness(app))[1]["checks"]["database"] != told:  # noqa: ASYNC110 - only it tells
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("plan", "spools"), [(SERVE, False), (SMTP, False), (WORKER, True)], ids=["serve", "smtp", "worker"]
)
async def test_who_cannot_do_without_it_waits_says_so_and_gives_up(
    configure: Configure,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    plan: Plan,
    spools: bool,
) -> None:
    watch = count(0, 10)  # ten seconds pass from look to look, however slow the machine is
    clock = Clock(monotonic=lambda: float(next(watch)))
    more = {"GATEWAY_SPOOL_DIR": used(tmp_path / "spool")} if spools else {}
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(StartRefused, match="the database does not answer"),
    ):
        async with running(configure(nowhere(), **more), plan, clock):
            pass
    assert [r.__dict__.get("action") for r in caplog.records].count("database.awaited") >= 2


async def test_a_first_start_on_a_disk_needs_the_database(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the secret no mail could be told from a forged one."""
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.1)
    with pytest.raises(StartRefused):
        async with running(configure(nowhere(), GATEWAY_SPOOL_DIR=str(tmp_path / "spool")), SMTP):
            pass


async def test_who_is_told_to_stop_while_it_waits_stops(configure: Configure) -> None:
    stop = asyncio.Event()
    stop.set()
    with pytest.raises(StopAsked):
        async with running(configure(nowhere()), WORKER, stop=stop):
            pass


async def test_a_start_keeps_the_secret_for_the_next_one(
    configure: Configure, tmp_path: Path, schema_url: str
) -> None:
    folder = tmp_path / "spool"
    async with running(configure(schema_url, GATEWAY_SPOOL_DIR=str(folder)), SERVE) as app:
        secret = await app.store.write(shared_secret, "mail")
    kept = folder / database.SECRET_FILE
    assert bytes.fromhex(kept.read_text()) == secret
    assert kept.stat().st_mode & 0o777 == 0o600


def test_processes_that_share_a_folder_may_keep_the_secret_at_once(tmp_path: Path) -> None:
    place = tmp_path / database.SECRET_FILE
    with ThreadPoolExecutor(8) as processes:  # in containers all of them may have the same id
        list(processes.map(lambda n: database._keep_secret(place, bytes([n]) * 32), range(1, 200)))
    assert [file.name for file in tmp_path.iterdir()] == [database.SECRET_FILE]
    assert len(set(bytes.fromhex(place.read_text()))) == 1


async def test_a_database_that_comes_with_an_old_schema_is_not_used_until_it_has_its_own(
    configure: Configure, tmp_path: Path, private_postgres: PrivatePostgres
) -> None:
    url = private_postgres.url
    await asyncio.to_thread(private_postgres.kill)
    settings = configure(url, GATEWAY_SPOOL_DIR=used(tmp_path / "spool"))
    async with running(settings, SERVE) as app, asyncio.timeout(SECONDS):
        status, body = await readiness(app)
        assert (status, body["status"], body["checks"]["spool"]) == (200, "degraded", "0 waiting")
        await asyncio.to_thread(private_postgres.start)
        await until(app, database.OLD_SCHEMA)
        with pytest.raises(Unavailable):
            await app.store.write(look)
        await migrate(url)
        await until(app, "ok")
        await app.store.write(look)
        config = app.configured.config
        (agent,) = config.agents.values()
        page = await app.store.read(revisions_page, config.organization_id, agent.id, None, 10)
        assert [r.revision_id for r in page.items] == [agent.revision_id]
