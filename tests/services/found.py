"""Finds a service for the tests: the environment's, the machine's own, or a container's."""

import gc
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway.bench.private_server import ServiceFailed, ServiceMissing
from gateway.bench.services import PrivatePostgres, PrivateRabbit, speaks_amqp

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

_CONTAINER_SECONDS = 60.0


class Service(Protocol):
    """A server the tests may use. Only `PrivateRabbit` and `PrivatePostgres` can also be killed."""

    @property
    def url(self) -> str:
        """Where clients connect, once started."""

    def start(self) -> None:
        """Return when clients are served."""

    def stop(self) -> None:
        """Leave nothing behind."""


@dataclass(frozen=True, slots=True)
class Borrowed:
    """Somebody else's server, named in the environment: neither started nor stopped here."""

    url: str

    def start(self) -> None:
        """It runs already."""

    def stop(self) -> None:
        """It stays."""


class Contained:
    """A server in a container of its own."""

    def __init__(self, container: "DockerContainer", connect: Callable[["DockerContainer"], str]) -> None:
        self._container = container
        self._connect = connect
        self.url = ""

    def start(self) -> None:
        """Start the container and wait until clients are served. Raises `ServiceFailed`."""
        self._container.start()
        self.url = self._connect(self._container)

    def stop(self) -> None:
        """Remove the container with its data."""
        self._container.stop()


def find_rabbit() -> Service:
    """A RabbitMQ, not yet started. Raises `ServiceMissing`."""
    if url := os.environ.get("TEST_AMQP_URL"):
        return Borrowed(url)
    try:
        return PrivateRabbit(durable=False)
    except ServiceMissing as missing:
        return _rabbit_container(missing)


def find_postgres() -> Service:
    """A PostgreSQL whose user may create databases, not yet started. Raises `ServiceMissing`."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        return Borrowed(url)
    try:
        return PrivatePostgres(durable=False)
    except ServiceMissing as missing:
        return _postgres_container(missing)


def _rabbit_container(missing: ServiceMissing) -> Contained:
    _require_container_engine(missing)
    from testcontainers.core.container import DockerContainer  # it logs in to the engine when imported

    def connect(container: DockerContainer) -> str:
        host, port = container.get_container_host_ip(), int(container.get_exposed_port(5672))
        deadline = time.monotonic() + _CONTAINER_SECONDS
        while not speaks_amqp(host, port):
            if time.monotonic() > deadline:
                raise ServiceFailed("the RabbitMQ container does not answer")
            time.sleep(0.2)
        return f"amqp://guest:guest@{host}:{port}/"

    return Contained(DockerContainer("rabbitmq:3.13").with_exposed_ports(5672), connect)


def _postgres_container(missing: ServiceMissing) -> Contained:
    _require_container_engine(missing)
    from testcontainers.community.postgres import PostgresContainer

    container = PostgresContainer("postgres:16", driver=None)
    return Contained(container, lambda _: str(container.get_connection_url()))


def _require_container_engine(missing: ServiceMissing) -> None:
    # The client library leaves its sockets to the garbage collector where no engine answers.
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        answers = _container_engine_answers()
        gc.collect()
    if not answers:
        raise ServiceMissing(f"{missing}, and no Docker engine answers") from missing


def _container_engine_answers() -> bool:
    import docker  # type: ignore[import-untyped]

    try:
        engine = docker.from_env(timeout=3)
    except (docker.errors.DockerException, OSError):
        return False
    engine.close()  # asked for its version above
    return True
