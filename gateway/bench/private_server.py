"""A server process of one's own: started on free loopback ports, killed, started again, never left behind.

A server and its data end with the process that started it, however that one ends (SIGKILL included).
All calls block (a start takes seconds): from a coroutine, call them through `asyncio.to_thread`.
"""

import fcntl
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar, Self

_STOP_SECONDS = 120.0
_POLL_SECONDS = 0.05
_LOG = "output.log"
_LOG_TAIL = 2_000
_MEMORY = Path("/dev/shm")  # noqa: S108 - folders in it are made by mkdtemp
_ROOM = 4 * 1024**3
"""Bytes; what the servers and files of a whole test run take is a fraction of it."""

# Reads lines of process groups; the last one read is what still runs. The end of the pipe means that the
# writer is gone, or is done.
_LEASH = """
groups=
while read -r line; do groups=$line; done
for group in $groups; do kill -s "$1" -- "-$group" 2>/dev/null; done
if [ -n "$groups" ]; then sleep 1; fi
rm -rf -- "$2"
"""


class ServiceMissing(LookupError):
    """The machine has no binary of this server."""


class ServiceFailed(RuntimeError):
    """The server ended while starting or was not ready in time; the text ends with the tail of its log."""


class Leash:
    """Ends server processes and removes their directory once this process is gone, even by SIGKILL."""

    def __init__(self, directory: Path, last_signal: signal.Signals) -> None:
        """`last_signal`: what ends them."""
        self._shell = subprocess.Popen(  # noqa: S603 - a fixed command
            ["/bin/sh", "-c", _LEASH, "leash", last_signal.name.removeprefix("SIG"), str(directory)],
            stdin=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C in the terminal must not reach it
            text=True,
        )

    def hold(self, groups: Iterable[int]) -> None:
        """Say which process groups run now."""
        assert self._shell.stdin is not None
        self._shell.stdin.write(" ".join(str(group) for group in groups) + "\n")
        self._shell.stdin.flush()

    def release(self) -> None:
        """Let go: nothing runs any more, and only the directory is left to remove."""
        self.hold(())
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait(_STOP_SECONDS)


def in_memory() -> Path | None:
    """A folder whose files are memory; None where the system has none with room for servers."""
    try:
        room = shutil.disk_usage(_MEMORY).free
    except OSError:
        return None
    return _MEMORY if room >= _ROOM and os.access(_MEMORY, os.W_OK) else None


class PrivateServer(ABC):
    """What both servers share: start, kill, restart, and leaving nothing behind."""

    clean_signal: ClassVar[signal.Signals]
    last_signal: ClassVar[signal.Signals]
    start_seconds: ClassVar[float]

    def __init__(self, *, durable: bool = True) -> None:
        """`durable`: the data are on the disk; without, they are in memory where there is room for it."""
        self._durable = durable
        self._directory: Path | None = None
        self._leash: Leash | None = None
        self._server: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect; the same from construction on, over every restart."""

    def start(self) -> None:
        """Start, with the data of before unless `stop` was called, and return once clients are served.

        Raises `ServiceFailed`; nothing runs then.
        """
        if self._server is not None:
            return
        try:
            if self._directory is None:
                self._directory = self._new_directory()
                self._leash = Leash(self._directory, self.last_signal)
                self._prepare(self._directory)
            self._server = self._launch(self._directory)
            self._hold_all()
            self._wait_until_ready(self._server, self._directory)
        except BaseException:
            self.stop()
            raise

    def kill(self) -> None:
        """SIGKILL, no goodbye; the data stays for the next `start`."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """A clean shutdown (at most two minutes, then SIGKILL) and a start on the same port and data."""
        self._end(self.clean_signal)
        self.start()

    def stop(self) -> None:
        """End it for good and remove its data. Does nothing when there is nothing to stop."""
        self._end(self.last_signal)
        self._end_companions()
        if self._leash is not None:
            self._leash.release()
        self._leash = self._directory = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @abstractmethod
    def _prepare(self, directory: Path) -> None:
        """What is done once for a new directory."""

    @abstractmethod
    def _launch(self, directory: Path) -> "subprocess.Popen[bytes]":
        """The server process, leader of a session of its own."""

    @abstractmethod
    def _ready(self, server: "subprocess.Popen[bytes]", directory: Path) -> bool:
        """Whether a client would be served now."""

    def _companions(self) -> Sequence["subprocess.Popen[bytes]"]:
        """Processes that live as long as the directory, beside the server."""
        return ()

    def _new_directory(self) -> Path:
        return Path(tempfile.mkdtemp(prefix="gateway-", dir=None if self._durable else in_memory()))

    def _end_companions(self) -> None:
        for companion in self._companions():
            companion.kill()
            companion.wait(_STOP_SECONDS)

    def _hold_all(self) -> None:
        assert self._leash is not None
        running = [*self._companions(), *([self._server] if self._server else [])]
        self._leash.hold(process.pid for process in running)

    def _end(self, how: signal.Signals) -> None:
        if self._server is None:
            return
        server, self._server = self._server, None
        try:
            if server.poll() is None:
                os.killpg(server.pid, how)
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(_STOP_SECONDS)
        self._hold_all()

    def _wait_until_ready(self, server: "subprocess.Popen[bytes]", directory: Path) -> None:
        deadline = time.monotonic() + self.start_seconds
        while not self._ready(server, directory):
            if server.poll() is not None:
                raise ServiceFailed(f"{type(self).__name__} ended while starting: {log_tail(directory)}")
            if time.monotonic() > deadline:
                raise ServiceFailed(
                    f"{type(self).__name__} not ready in {self.start_seconds:.0f} s: {log_tail(directory)}"
                )
            time.sleep(_POLL_SECONDS)


def spawn(
    command: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    account: pwd.struct_passwd | None = None,
) -> "subprocess.Popen[bytes]":
    """Run a command in `directory`, leading a session of its own, with PATH and `environment` only.

    Its output goes to the directory's log (`log_tail`). `account` needs root: who it is run as.
    """
    with (directory / _LOG).open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - commands are built by the callers, never from input
            command,
            cwd=directory,
            env={"PATH": os.environ.get("PATH", os.defpath), **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )


def log_tail(directory: Path) -> str:
    """The last 2 000 bytes of what the processes of this directory wrote."""
    return (directory / _LOG).read_bytes()[-_LOG_TAIL:].decode(errors="replace").strip()


def free_ports(count: int) -> list[int]:
    """Loopback ports nobody listens on now; none is given twice, here or by another process that lives."""
    # Below the range the kernel gives to outgoing connections: a client that keeps trying a stopped
    # server's port in that range may be given this very port, connect to itself and keep the server out.
    ports: list[int] = []
    while len(ports) < count:
        port = 20_000 + secrets.randbelow(12_000)
        if port in _given or not _claim(port):
            continue
        _given.add(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
    return ports


_given: set[int] = set()
"""The ports that this process has claimed."""


def _claim(port: int) -> bool:
    """Whether no other process has this port; it is ours then as long as we live.

    A server is often started seconds after its port was chosen, and one that was killed leaves its port for
    as long: another that was given it meanwhile would be taken for it.
    """
    try:
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@cache
def _claims() -> int:
    """A file of which each claimed port is a locked byte; locks end with their process, however it ends."""
    path = Path(tempfile.gettempdir()) / f"gateway-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
