"""A RabbitMQ node and a PostgreSQL server of one's own, for benchmarks and tests."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.bench.private_server import (
    PrivateServer,
    ServiceFailed,
    ServiceMissing,
    free_ports,
    log_tail,
    spawn,
)

_CARELESS = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "256MB"}
"""PostgreSQL's settings where nothing has to outlive it."""


class PrivateRabbit(PrivateServer):
    """A RabbitMQ node with its own epmd. Ready in about 5 s, as long again after `kill`.

    What is declared outlives a `kill` for certain only once there was a `restart` (seen with 3.10.8): after
    the broker has said yes, Mnesia keeps the decision to commit in memory for up to 2 s, and undoes a
    declaration whose decision was lost; the names of quorum queues wait for half a second. A message in a
    queue that is there is safe once it is confirmed. Raises `ServiceMissing` where there is no RabbitMQ.
    """

    clean_signal = signal.SIGTERM
    last_signal = signal.SIGKILL
    start_seconds = 180.0

    def __init__(self, *, durable: bool = True) -> None:
        super().__init__(durable=durable)
        self._binary, self._epmd_binary = _rabbit_binaries()
        self._port, self._distribution_port, self._epmd_port = free_ports(3)
        self._epmd: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self._port}/"

    def _companions(self) -> Sequence["subprocess.Popen[bytes]"]:
        return [self._epmd] if self._epmd else []

    def _end_companions(self) -> None:
        super()._end_companions()
        self._epmd = None

    def _prepare(self, directory: Path) -> None:
        (directory / "enabled_plugins").write_text("[].\n")
        (directory / "rabbitmq.conf").write_text("")
        # Started by us in the foreground: the node would start one that outlives it.
        self._epmd = spawn(
            [self._epmd_binary, "-port", str(self._epmd_port), "-address", "127.0.0.1"],
            directory,
            self._environment(directory),
        )
        self._hold_all()

    def _launch(self, directory: Path) -> "subprocess.Popen[bytes]":
        return spawn([self._binary], directory, self._environment(directory))

    def _environment(self, directory: Path) -> Mapping[str, str]:
        return {
            "HOME": str(directory),  # the Erlang cookie is kept there
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": f"private{self._port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_MNESIA_BASE": str(directory / "data"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_PID_FILE": str(directory / "rabbitmq.pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
            # The machine's own configuration must not leak into a private node.
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(directory / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(directory / "rabbitmq-env.conf"),
            # Makes the script become the node instead of waiting for it: the process we hold is the node.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _ready(self, server: "subprocess.Popen[bytes]", directory: Path) -> bool:
        return speaks_amqp("127.0.0.1", self._port)


class PrivatePostgres(PrivateServer):
    """A PostgreSQL server, by default as shipped; `url` names its `postgres` database.

    PostgreSQL refuses to run as root: as root it is run as `postgres`, or else `nobody`.
    Raises `ServiceMissing` when the machine has no PostgreSQL.
    """

    clean_signal = signal.SIGINT  # "fast": sessions are ended, buffers written
    last_signal = signal.SIGQUIT  # "immediate": as a crash, but its children go with it
    start_seconds = 120.0

    def __init__(self, *, durable: bool = True) -> None:
        """`durable`: a commit is on the disk; without, the server is quicker and must not be killed."""
        super().__init__(durable=durable)
        self._binaries = _postgres_binaries()
        self._account = _unprivileged_account() if os.geteuid() == 0 else None
        (self._port,) = free_ports(1)

    @property
    def url(self) -> str:
        return f"postgresql://gateway@127.0.0.1:{self._port}/postgres"

    def _new_directory(self) -> Path:
        directory = super()._new_directory()
        if self._account is not None:
            os.chown(directory, self._account.pw_uid, self._account.pw_gid)
        return directory

    def _prepare(self, directory: Path) -> None:
        command = [f"{self._binaries}/initdb", "--username=gateway", "--auth=trust", "--encoding=UTF8"]
        # Nothing is in there yet that a power cut could take; the server itself does sync.
        initdb = self._spawn([*command, "--no-locale", "--no-sync", "--pgdata=data"], directory)
        try:
            failed = initdb.wait(self.start_seconds) != 0
        finally:
            initdb.kill()
        if failed:
            raise ServiceFailed(f"initdb failed: {log_tail(directory)}")

    def _launch(self, directory: Path) -> "subprocess.Popen[bytes]":
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": str(directory),
            "max_connections": "200",
            **({} if self._durable else _CARELESS),
        }
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        return self._spawn([f"{self._binaries}/postgres", "-D", "data", *options], directory)

    def _spawn(self, command: Sequence[str], directory: Path) -> "subprocess.Popen[bytes]":
        return spawn(command, directory, {"HOME": str(directory), "LC_ALL": "C"}, self._account)

    def _ready(self, server: "subprocess.Popen[bytes]", directory: Path) -> bool:
        # What the server's own control tool reads: process id in line 1, state in line 8. A killed server
        # leaves the file behind.
        try:
            lines = (directory / "data" / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(server.pid) and lines[7].strip() == "ready"


def speaks_amqp(host: str, port: int) -> bool:
    """Whether a broker answers the AMQP 0-9-1 protocol header with a method frame within a second."""
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return connection.recv(1) == b"\x01"
    except OSError:
        return False


def _rabbit_binaries() -> tuple[str, str]:
    # Debian's /usr/sbin/rabbitmq-server is a wrapper that changes the user and reads the system's settings.
    found = [
        Path("/usr/lib/rabbitmq/bin/rabbitmq-server"),
        Path(shutil.which("rabbitmq-server") or "/nonexistent"),
    ]
    servers = [path for path in found if path.exists() and "wrapper" not in path.resolve().name]
    epmds = [shutil.which("epmd"), *(str(path) for path in Path("/usr/lib/erlang").glob("erts-*/bin/epmd"))]
    epmd = next((path for path in epmds if path), None)
    if not servers or epmd is None:
        raise ServiceMissing("no rabbitmq-server (with Erlang's epmd) on this machine")
    return str(servers[0]), epmd


def _postgres_binaries() -> Path:
    versioned = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    versioned.sort(key=lambda path: [int(number) for number in re.findall(r"\d+", str(path))])
    on_path = shutil.which("postgres")
    candidates = [*reversed(versioned), *([Path(on_path).parent] if on_path else [])]
    for directory in candidates:
        if (directory / "initdb").exists():
            return directory
    raise ServiceMissing("no postgres (with initdb) on this machine")


def _unprivileged_account() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServiceMissing("PostgreSQL does not run as root, and there is no account postgres or nobody")
