"""Mail is read in processes of its own, so that no mail can hold up the event loop, whatever is in it.

Each has bounded memory, sees none of the gateway's settings, and is killed when one mail takes too long: that
mail is then unparseable, and the next one gets a new process. They are started when there is mail, and end by
themselves when their gateway is gone, because their standard input ends.
"""

import asyncio
import logging
import os
import pickle
import resource
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from struct import Struct
from typing import BinaryIO

from channels.email.files import MailAttachment, read_files
from channels.email.kind import MailKind
from channels.email.parse import ParsedMail, parse_mail, unparseable

SECONDS = 8.0
"""For one mail, of the 20 s after which its sender is told to come back."""
PROCESSES = 2
MAX_MEMORY = 1_073_741_824
"""Bytes of address space of a process that reads mail."""

_LENGTH = Struct("!Q")
_READY = b"."
"""What a process says first."""
_PASSED_ON = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TZ")
"""All that a reading process sees of our environment: no secrets."""

log = logging.getLogger(__name__)


class _Failed(Exception):
    """A process was killed, or has died, over a mail."""


_ANSWERS: dict[str, Callable[..., object]] = {"mail": parse_mail, "files": read_files}
"""What can be asked of a raw mail, and what answers it in the process that reads."""


class MailReader:
    """Reads mail in processes beside this one. Belongs to one event loop."""

    def __init__(self, *, processes: int = PROCESSES, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._idle: list[asyncio.subprocess.Process] = []
        self._places = asyncio.Semaphore(processes)

    async def read(self, raw: bytes, mail_from: str | None = None) -> ParsedMail:
        """A mail, read; never raises because of what is in it. `mail_from`: as for `parse_mail`."""
        try:
            mail = await self._ask("mail", raw, mail_from)
        except _Failed as failed:
            _tell(raw, str(failed))
            return unparseable(raw)
        assert isinstance(mail, ParsedMail)
        if mail.kind is MailKind.UNPARSEABLE:
            _tell(raw, "not a mail that can be read")
        return mail

    async def files(self, raw: bytes) -> list[tuple[MailAttachment, bytes]]:
        """The files of a mail with their content; none where they cannot be taken apart."""
        try:
            files = await self._ask("files", raw)
        except _Failed as failed:
            _tell(raw, str(failed))
            return []
        assert isinstance(files, list)
        return files

    async def close(self) -> None:
        """End the processes."""
        while self._idle:
            await _end(self._idle.pop())

    async def _ask(self, question: str, raw: bytes, *about: object) -> object:
        async with self._process() as process:
            try:
                async with asyncio.timeout(self._seconds):
                    answer = await _exchange(process, (question, about), raw)
            except TimeoutError:
                raise _Failed(f"reading took longer than {self._seconds:g} s") from None
            except (OSError, asyncio.IncompleteReadError):
                raise _Failed("the reading process died") from None
        return pickle.loads(answer)  # noqa: S301 -- written by our own code in our own process

    @asynccontextmanager
    async def _process(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """One of the processes; it is ended where its work was not finished."""
        async with self._places:
            while self._idle and self._idle[-1].returncode is not None:
                self._idle.pop()
            process = self._idle.pop() if self._idle else await _start()
            try:
                yield process
            except BaseException:
                with suppress(ProcessLookupError):
                    process.kill()
                await _end(process)
                raise
            self._idle.append(process)


async def _start() -> asyncio.subprocess.Process:
    """A process that has loaded what it reads with: that time is not the mail's."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        start_new_session=True,  # a terminal's ^C is for the gateway, which drains first
    )
    assert process.stdout is not None
    try:
        await process.stdout.read(len(_READY))  # nothing, where it has died: the mail will tell
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        await _end(process)
        raise
    return process


async def _exchange(process: asyncio.subprocess.Process, question: object, raw: bytes) -> bytes:
    """The answer to a question about a mail. The mail goes as it is: to pickle a large one takes its time."""
    assert process.stdin is not None
    assert process.stdout is not None
    asked = pickle.dumps(question, pickle.HIGHEST_PROTOCOL)
    process.stdin.write(_LENGTH.pack(len(asked)) + asked + _LENGTH.pack(len(raw)))
    process.stdin.write(raw)
    await process.stdin.drain()
    (length,) = _LENGTH.unpack(await process.stdout.readexactly(_LENGTH.size))
    return await process.stdout.readexactly(length)


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()
    await process.wait()


def _tell(raw: bytes, reason: str) -> None:
    log.error(
        "a mail could not be read", extra={"action": "mail_unparseable", "reason": reason, "size": len(raw)}
    )


def _serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there are no more questions."""
    while head := questions.read(_LENGTH.size):
        (length,) = _LENGTH.unpack(head)
        question, about = pickle.loads(questions.read(length))  # noqa: S301 -- from the process that started us
        (length,) = _LENGTH.unpack(questions.read(_LENGTH.size))
        answer = pickle.dumps(_ANSWERS[question](questions.read(length), *about), pickle.HIGHEST_PROTOCOL)
        answers.write(_LENGTH.pack(len(answer)) + answer)
        answers.flush()


def main() -> None:
    """The process that reads."""
    with suppress(ValueError, OSError):  # a lower limit is set already
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()
    _serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
