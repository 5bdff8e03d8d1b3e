"""The attachment store as a folder: a file for each content, written whole or not at all.

Processes on several machines need one that they share (NFS, a volume), or a bucket.
"""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar
from uuid import uuid4

from gateway.domain.errors import FileMissing, Unavailable
from gateway.domain.ports.files import FileKey

P = ParamSpec("P")
T = TypeVar("T")

PIECE_BYTES = 262_144
_INCOMING = "incoming"
_STALE_SECONDS = 3600
"""After so long, a file that is half written is a crash's."""


class AttachmentFolder:
    """Files below `folder`: `<organisation>/<first two digits>/<sha256>`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._swept = False

    async def put(self, key: FileKey, content: bytes) -> None:
        """Write beside, flush, and rename, so that a crash leaves nothing that looks whole."""
        await _disk(self._put, self._path(key), content)

    async def read(self, key: FileKey) -> AsyncGenerator[bytes, None]:
        """The file in pieces; deleting it meanwhile takes nothing from who has begun to read."""
        try:
            file = await _disk(self._path(key).open, "rb")
        except FileNotFoundError:
            raise FileMissing(key.sha256) from None
        try:
            while piece := await _disk(file.read, PIECE_BYTES):
                yield piece
        finally:
            file.close()

    async def remove(self, key: FileKey) -> None:
        """Unlink it."""
        await _disk(self._path(key).unlink, missing_ok=True)

    async def check(self) -> None:
        """Write a file into the folder and delete it again."""
        await _disk(self._check)

    def _check(self) -> None:
        incoming = self._folder / _INCOMING
        incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = incoming / uuid4().hex
        probe.write_bytes(b"check")
        probe.unlink()

    def _path(self, key: FileKey) -> Path:
        return self._folder / key.organization_id / key.sha256[:2] / key.sha256

    def _put(self, path: Path, content: bytes) -> None:
        if path.exists() and path.stat().st_size == len(content):
            return
        incoming = self._folder / _INCOMING
        if not self._swept:
            self._sweep(incoming)
        for folder in (incoming, path.parent):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = incoming / uuid4().hex
        try:
            with beside.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        for folder in (path.parent, path.parent.parent, self._folder):
            _flush_folder(folder)

    def _sweep(self, incoming: Path) -> None:
        """Delete what a crash has left half written; once a process. Others may be doing the same."""
        self._swept = True
        oldest = time.time() - _STALE_SECONDS
        for file in incoming.glob("*"):
            with suppress(FileNotFoundError):
                if file.stat().st_mtime < oldest:
                    file.unlink()


async def _disk(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Off the event loop. What the disk refuses is retryable; that a file is not there is not."""
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unavailable(f"the folder of the attachments does not take part: {error.strerror}") from error


def _flush_folder(folder: Path) -> None:
    """Make the names in a folder durable (fsync(2): that of a file does not do it)."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
