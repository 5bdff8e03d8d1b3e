"""The lock of a data folder: one running gateway per folder. Command line tools do not take it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_FILE = "gateway.lock"


class DataFolderLocked(RuntimeError):
    """Another running gateway holds the folder; the message names its process id."""


@contextmanager
def lock_data_folder(folder: Path) -> Iterator[None]:
    """Hold `folder` until the end of the block. The lock dies with the process, however it ends.

    Raises DataFolderLocked at once if it is held, OSError if the folder cannot be written to.
    """
    path = folder / LOCK_FILE
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise DataFolderLocked(f"{folder} is in use by process {owner}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        yield
    finally:
        os.close(descriptor)


def lock_owner(folder: Path) -> int | None:
    """The id of the process that holds `folder` now; None where none does."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 20, 0).strip()
        return int(owner) if owner.isdigit() else None
    finally:
        os.close(descriptor)
    return None
