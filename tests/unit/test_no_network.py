"""The guard of the unit tests: no test here may reach the network."""

import asyncio
import socket

import pytest


def test_a_connection_is_refused() -> None:
    with socket.socket() as tcp, pytest.raises(AssertionError, match="reached for the network"):
        tcp.connect(("127.0.0.1", 9))


def test_a_datagram_is_refused() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as udp, pytest.raises(AssertionError, match="network"):
        udp.sendto(b"x", ("127.0.0.1", 9))


async def test_an_asyncio_connection_is_refused() -> None:
    with pytest.raises(AssertionError, match="reached for the network"):
        await asyncio.open_connection("127.0.0.1", 9)


def test_unix_sockets_are_left_alone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"x")
        assert theirs.recv(1) == b"x"
