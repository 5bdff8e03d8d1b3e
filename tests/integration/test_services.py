"""The private servers: they serve, survive a kill on the same port and data, and leave nothing behind."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import aio_pika
import pytest

from gateway.bench.private_server import ServiceMissing
from gateway.bench.services import PrivatePostgres, PrivateRabbit, speaks_amqp
from tests.services import Service, absent, execute, fetch_value


async def test_a_confirmed_message_outlives_kill_and_restart(
    private_rabbit: PrivateRabbit, amqp_prefix: str
) -> None:
    url, name = private_rabbit.url, f"{amqp_prefix}kept"
    async with await aio_pika.connect(url) as connection:
        await (await connection.channel()).declare_queue(name, durable=True)
    await asyncio.to_thread(private_rabbit.restart)  # the queue outlives a kill from now on
    async with await aio_pika.connect(url) as connection:
        message = aio_pika.Message(b"kept", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await (await connection.channel()).default_exchange.publish(message, routing_key=name)
    await asyncio.to_thread(private_rabbit.kill)
    with pytest.raises(OSError, match=r"refused|failed"):
        await aio_pika.connect(url)

    await asyncio.to_thread(private_rabbit.start)

    assert private_rabbit.url == url
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.get_queue(name)
        kept = await queue.get(timeout=60)
        assert kept is not None
        assert kept.body == b"kept"
        await kept.ack()


async def test_a_commit_outlives_kill_and_restart(private_postgres: PrivatePostgres) -> None:
    url = private_postgres.url
    await execute(url, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
    await asyncio.to_thread(private_postgres.kill)
    with pytest.raises(ConnectionRefusedError):
        await execute(url, "SELECT 1")

    await asyncio.to_thread(private_postgres.start)
    assert await fetch_value(url, "SELECT n FROM kept") == 7
    await asyncio.to_thread(private_postgres.restart)

    assert private_postgres.url == url
    assert await fetch_value(url, "SELECT n FROM kept") == 7


async def test_private_postgres_commits_durably(private_postgres: PrivatePostgres) -> None:
    assert await fetch_value(private_postgres.url, "SHOW fsync") == "on"
    assert await fetch_value(private_postgres.url, "SHOW synchronous_commit") == "on"


async def test_the_shared_rabbit_serves(rabbit: Service, rabbit_url: str) -> None:
    assert rabbit.url == rabbit_url
    connection = await aio_pika.connect(rabbit_url)
    await connection.close()


@pytest.mark.parametrize("_round", [1, 2])
async def test_each_test_has_a_database_of_its_own(postgres_url: str, _round: int) -> None:
    await execute(postgres_url, "CREATE TABLE mine (n int)")  # fails where the other round's is


@pytest.fixture
def starter(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that has started a PostgreSQL and printed its process id."""
    try:
        PrivatePostgres()
    except ServiceMissing as missing:
        absent("PostgreSQL", str(missing))
    program = tmp_path / "starter.py"
    program.write_text(
        textwrap.dedent("""
        import time
        from gateway.bench.services import PrivatePostgres
        server = PrivatePostgres()
        server.start()
        print(server._server.pid, server._directory, flush=True)
        time.sleep(60)
        """)
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, program],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def test_a_server_ends_with_a_starter_that_is_killed(starter: "subprocess.Popen[str]") -> None:
    assert starter.stdout is not None
    pid, directory = starter.stdout.readline().split()
    os.kill(int(pid), 0)

    starter.send_signal(signal.SIGKILL)

    deadline = time.monotonic() + 60
    while Path(directory).exists():  # removed last, after the server was ended
        assert time.monotonic() < deadline, "the server's directory is still there"
        time.sleep(0.05)
    assert not _runs(int(pid))


async def test_after_stop_a_start_begins_anew(private_postgres: PrivatePostgres) -> None:
    await execute(private_postgres.url, "CREATE TABLE gone (n int)")
    await asyncio.to_thread(private_postgres.stop)
    await asyncio.to_thread(private_postgres.stop)
    await asyncio.to_thread(private_postgres.start)
    await execute(private_postgres.url, "CREATE TABLE gone (n int)")


def test_no_broker_is_heard_where_none_listens() -> None:
    assert not speaks_amqp("127.0.0.1", 9)


def _runs(pid: int) -> bool:
    """Whether this process still runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
