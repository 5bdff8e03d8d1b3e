"""Unit tests reach no network: what needs a socket is an integration test."""

import socket
from pathlib import Path
from typing import NoReturn

import pytest


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    """Where a test writes its gateway.toml."""
    return tmp_path / "gateway.toml"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every outgoing connection and datagram but those over AF_UNIX."""
    for name in ("connect", "connect_ex", "sendto"):
        allowed = getattr(socket.socket, name)

        def guarded(self: socket.socket, *arguments: object, _allowed: object = allowed) -> object:
            if self.family == socket.AF_UNIX:
                assert callable(_allowed)
                return _allowed(self, *arguments)
            return _refuse(arguments)

        monkeypatch.setattr(socket.socket, name, guarded)


def _refuse(arguments: tuple[object, ...]) -> NoReturn:
    raise AssertionError(f"a unit test reached for the network: {arguments[-1]}")
