"""One HTTP listener: uvicorn inside our event loop, without its signal handlers."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp

from gateway.http_protocol import BoundedHttp

MAX_FRAME = 64 * 1024
"""Bytes of one message over a WebSocket; a longer one ends the connection."""
_BACKLOG = 2048
_PING_SECONDS = 20.0
"""Between two signs of life on a WebSocket, and how long one is waited for."""


class _Server(uvicorn.Server):
    """The process has its own signal handling."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


class HttpServer:
    """Serves an application until stopped."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        """`port` 0 takes a free one."""
        self._config = uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            loop="none",
            http=BoundedHttp,
            ws="websockets-sansio",
            ws_max_size=MAX_FRAME,
            ws_ping_interval=_PING_SECONDS,
            ws_ping_timeout=_PING_SECONDS,
            ws_per_message_deflate=False,
            backlog=_BACKLOG,
            timeout_keep_alive=75,
            server_header=False,
            date_header=True,
            proxy_headers=False,
        )
        self._server = _Server(self._config)
        self._task: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        if self._socket is None:
            raise RuntimeError("the server has not been started")
        return int(self._socket.getsockname()[1])

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        family = socket.AF_INET6 if ":" in self._config.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._config.host, self._config.port))
        except OSError:
            listener.close()
            raise
        self._socket = listener
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="http")
        while not self._server.started:
            if self._task.done():
                await self._task
                raise RuntimeError("the HTTP server ended while it started")
            await asyncio.sleep(0.005)

    async def stop(self, grace: float) -> None:
        """Take no more requests, let those in flight end within `grace` seconds, then cut them."""
        if self._task is None:
            return
        self._server.should_exit = True
        done, _ = await asyncio.wait({self._task}, timeout=grace)
        if not done:
            self._server.force_exit = True
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._socket is not None:
            self._socket.close()
