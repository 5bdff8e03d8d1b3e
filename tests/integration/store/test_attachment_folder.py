"""The attachment store as a folder: whole files or none, nothing outside of it."""

import hashlib
import os
import stat
from pathlib import Path

import pytest

from gateway.domain.errors import FileMissing, Unavailable
from gateway.domain.ids import new_id
from gateway.domain.ports.files import FileKey
from gateway.store.attachment_folder import PIECE_BYTES, AttachmentFolder

ORGANISATION = new_id()


def key_of(content: bytes) -> FileKey:
    return FileKey(ORGANISATION, hashlib.sha256(content).hexdigest())


async def content_of(store: AttachmentFolder, key: FileKey) -> bytes:
    return b"".join([piece async for piece in store.read(key)])


@pytest.mark.parametrize("content", [b"", b"one", os.urandom(2 * PIECE_BYTES + 1)], ids=["0", "3", "large"])
async def test_what_is_put_is_read_until_it_is_removed(tmp_path: Path, content: bytes) -> None:
    store, key = AttachmentFolder(tmp_path / "attachments"), key_of(content)
    with pytest.raises(FileMissing):
        await content_of(store, key)
    for _ in range(2):
        await store.put(key, content)
        assert await content_of(store, key) == content
    (file,) = [path for path in (tmp_path / "attachments").rglob("*") if path.is_file()]
    assert file.name == key.sha256
    assert not stat.S_IMODE(file.parent.stat().st_mode) & 0o077
    for _ in range(2):
        await store.remove(key)
    with pytest.raises(FileMissing):
        await content_of(store, key)


async def test_a_file_cut_short_by_a_crash_is_put_anew(tmp_path: Path) -> None:
    store, key = AttachmentFolder(tmp_path), key_of(b"whole")
    path = tmp_path / ORGANISATION / key.sha256[:2] / key.sha256
    path.parent.mkdir(parents=True)
    path.write_bytes(b"who")
    await store.put(key, b"whole")
    assert await content_of(store, key) == b"whole"


async def test_what_a_crash_left_half_written_goes_when_it_is_old(tmp_path: Path) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    old, young = incoming / "old", incoming / "young"
    for file in (old, young):
        file.write_bytes(b"half")
    os.utime(old, (0, 0))
    await AttachmentFolder(tmp_path).put(key_of(b"x"), b"x")
    assert [file.name for file in incoming.iterdir()] == ["young"]


@pytest.mark.parametrize("name", ["../../secret", "A" * 64, "0" * 63])
async def test_nothing_outside_can_be_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="64 hex digits"):
        await AttachmentFolder(tmp_path).put(FileKey(ORGANISATION, name), b"x")
    with pytest.raises(ValueError, match="organisation"):
        await AttachmentFolder(tmp_path).put(FileKey("..", "0" * 64), b"x")


async def test_a_disk_that_refuses_is_retryable(tmp_path: Path) -> None:
    (tmp_path / "attachments").write_bytes(b"a file where a folder should be")
    with pytest.raises(Unavailable):
        await AttachmentFolder(tmp_path / "attachments").put(key_of(b"x"), b"x")
