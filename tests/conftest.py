"""Fixtures every test may ask for: private servers, fresh databases, queue names of one's own."""

import asyncio
import os
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings

from gateway.bench.private_server import ServiceMissing, in_memory
from gateway.bench.services import PrivatePostgres, PrivateRabbit
from gateway.store.migrate import migrate
from tests.services import Service, absent, find_postgres, find_rabbit, own_database, skipped_lines

settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("searching", settings.get_profile("steady"), derandomize=False, max_examples=1_000)
settings.load_profile("steady")


def pytest_configure() -> None:
    """Take the developer's own settings away, as a test sets what it needs; keep its files in memory."""
    for name in list(os.environ):
        if name.startswith(("GATEWAY_", "TWILIO_", "TELNYX_", "JAMBONZ_")):
            del os.environ[name]
    memory = in_memory()
    if memory is not None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, object, object]:
    """Say last which tests a missing service cost, and how to get it."""
    result = yield
    for line in skipped_lines(str(report.longrepr) for report in terminalreporter.getreports("skipped")):
        terminalreporter.write_line(line, yellow=True)
    return result


_S = TypeVar("_S", bound=Service)


def _lend(name: str, find: Callable[[], _S]) -> Iterator[_S]:
    try:
        service = find()
    except ServiceMissing as missing:
        absent(name, str(missing))
    try:
        service.start()
        yield service
    finally:
        service.stop()


@pytest.fixture(scope="session")
def rabbit() -> Iterator[Service]:
    """The RabbitMQ of this run, shared: use names with `amqp_prefix`, and do not kill it."""
    yield from _lend("RabbitMQ", find_rabbit)


@pytest.fixture(scope="session")
def rabbit_url(rabbit: Service) -> str:
    """Where the shared RabbitMQ is: `amqp://…`."""
    return rabbit.url


@pytest.fixture
def amqp_prefix() -> str:
    """A prefix for exchanges and queues that no other test uses."""
    return f"t{uuid4().hex[:8]}."


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Service]:
    """The PostgreSQL of this run, shared: ask for `postgres_url`, and do not kill it."""
    yield from _lend("PostgreSQL", find_postgres)


@pytest.fixture
def postgres_url(postgres_server: Service) -> Iterator[str]:
    """A database of this test's own, empty, dropped after it."""
    with own_database(postgres_server.url) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Service) -> Iterator[str]:
    """The name of a database that has the schema and nothing in it, to be copied."""
    with own_database(postgres_server.url) as url:
        asyncio.run(migrate(url))
        yield urlsplit(url).path.removeprefix("/")


@pytest.fixture
def schema_url(postgres_server: Service, postgres_template: str) -> Iterator[str]:
    """A PostgreSQL database of this test's own that has the schema, dropped after it."""
    with own_database(postgres_server.url, postgres_template) as url:
        yield url


@pytest.fixture
def private_rabbit() -> Iterator[PrivateRabbit]:
    """A RabbitMQ of this test's own, running; costs some 5 s.

    Before it is killed it is restarted, or it may forget what was declared in the seconds before.
    """
    yield from _lend("RabbitMQ", lambda: PrivateRabbit(durable=False))


@pytest.fixture
def private_postgres() -> Iterator[PrivatePostgres]:
    """A PostgreSQL of this test's own, running, to be killed at will; costs about 1 s."""
    yield from _lend("PostgreSQL", PrivatePostgres)
