"""Mail is read beside the event loop: what a hostile or broken process does to it costs one mail."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from channels.email import reader as reader_module
from channels.email.kind import MailKind
from channels.email.parse import ParsedMail, parse_mail
from channels.email.reader import MailReader
from tests.processes import ROOT

RAW = b"From: ana@example.org\r\nMessage-ID: <a@x>\r\n\r\nHello\r\n-- \r\nAna\r\n"
LARGE = b"From: a@x.org\n\n" + b"> a\nb\n" * 200_000


@pytest.fixture
async def reader() -> AsyncIterator[MailReader]:
    made = MailReader(processes=2)
    yield made
    await made.close()


async def test_it_reads_what_the_parser_reads(reader: MailReader) -> None:
    assert await reader.read(RAW, "ana@example.org") == parse_mail(RAW, "ana@example.org")
    assert (await reader.read(RAW, "<>")).kind is MailKind.AUTO_REPLY


async def test_many_mails_at_once(reader: MailReader) -> None:
    raws = [RAW.replace(b"Hello", f"Hello {i}".encode()) for i in range(50)]
    mails = await asyncio.gather(*(reader.read(raw) for raw in raws))
    assert [mail.text for mail in mails] == [f"Hello {i}" for i in range(50)]


async def held_up(reader: MailReader) -> tuple[asyncio.subprocess.Process, asyncio.Task[ParsedMail]]:
    """A process that has been given a mail and does not go on, and who waits for it."""
    await reader.read(RAW)
    [process] = reader._idle
    os.kill(process.pid, signal.SIGSTOP)
    reading = asyncio.create_task(reader.read(LARGE))
    while reader._idle:  # noqa: ASYNC110 -- nothing tells when it has begun
        await asyncio.sleep(0)
    return process, reading


async def test_the_loop_goes_on_while_a_mail_is_read(reader: MailReader) -> None:
    process, reading = await held_up(reader)
    for _ in range(10):
        await asyncio.sleep(0.001)
    assert not reading.done()
    os.kill(process.pid, signal.SIGCONT)
    assert (await reading).sender == "a@x.org"


async def test_a_mail_that_takes_too_long_is_unparseable_and_the_next_is_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    impatient = MailReader(processes=1, seconds=0.0)
    with caplog.at_level(logging.ERROR):
        mail = await impatient.read(RAW)
    assert mail.kind is MailKind.UNPARSEABLE
    assert mail.full_text.startswith("From: ana@example.org")
    assert [record.__dict__["action"] for record in caplog.records] == ["mail_unparseable"]
    assert "ana" not in caplog.text
    impatient._seconds = 30.0
    assert (await impatient.read(RAW)).text == "Hello"
    await impatient.close()


async def test_a_process_that_dies_over_a_mail_costs_this_one(reader: MailReader) -> None:
    process, reading = await held_up(reader)
    os.kill(process.pid, signal.SIGKILL)
    assert (await reading).kind is MailKind.UNPARSEABLE
    assert (await reader.read(RAW)).text == "Hello"


async def test_a_process_that_died_in_between_costs_none(reader: MailReader) -> None:
    await reader.read(RAW)
    [process] = reader._idle
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    assert (await reader.read(RAW)).text == "Hello"


async def test_what_cannot_be_read_is_told(reader: MailReader, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        mail = await reader.read(b"From: a@x.org\r\n" + b"X: y\r\n" * 60_000)
    assert mail.kind is MailKind.UNPARSEABLE
    assert [record.__dict__["action"] for record in caplog.records] == ["mail_unparseable"]


async def test_a_reading_process_sees_no_settings(
    reader: MailReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_API_KEYS", "secret:admin")
    process = await reader_module._start()
    if sys.platform == "linux":
        assert b"GATEWAY_" not in environment_of(process.pid)
    await reader_module._end(process)
    assert process.returncode == 0


async def test_a_process_that_is_slow_to_load_costs_no_mail_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = tmp_path / "go on"
    waits = (
        "import os, time\n"
        "for _ in range(6000):\n"
        f"    if os.path.exists({str(go_on)!r}):\n"
        "        break\n"
        "    time.sleep(0.01)\n"
    )
    (tmp_path / "sitecustomize.py").write_text(waits)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    starting = asyncio.create_task(reader_module._start())
    await asyncio.wait([starting], timeout=0.5)
    assert not starting.done()
    go_on.touch()
    await reader_module._end(await starting)


async def test_processes_end_with_their_gateway() -> None:
    script = (
        "import asyncio, os, signal\n"
        "from channels.email.reader import MailReader\n"
        "async def main():\n"
        "    reader = MailReader()\n"
        f"    await reader.read({RAW!r})\n"
        "    print(reader._idle[0].pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    assert gateway.stdout is not None
    pid = int(await gateway.stdout.readline())
    await gateway.wait()
    await eventually(lambda: not is_alive(pid))


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


async def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_the_files_of_a_mail_come_with_their_content(reader: MailReader) -> None:
    part = b"--b\r\nContent-Disposition: attachment; filename=a.bin\r\n\r\n\x00\xff\r\n--b--\r\n"
    raw = b"From: a@x.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + part
    [(described, content)] = await reader.files(raw)
    assert (described.name, described.size, content) == ("a.bin", 2, b"\x00\xff")
    assert await MailReader(processes=1, seconds=0.0).files(raw) == []
