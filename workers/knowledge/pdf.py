"""PDF files, read in a process of their own: a file that is broken, or made to be slow, ends with it.

It takes the file on stdin and answers with one JSON document on stdout, or with its refusal on stderr.
"""

import asyncio
import io
import json
import resource
import sys
from contextlib import suppress

from gateway.domain.knowledge import Document
from workers.knowledge.formats import UnreadableError
from workers.knowledge.outline import MAX_HEADING, Outline

MAX_PAGES = 500
MAX_TEXT = 4_000_000
"""Characters of all pages together."""
SECONDS = 60
"""That the process may take; of its processor, and by the clock."""
_MEMORY = 1 << 30
_REFUSED = 3
"""The exit code of a refusal that says why."""


async def read_pdf(content: bytes, name: str) -> Document:
    """The text of each page. Raises UnreadableError."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "workers.knowledge.pdf"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, said = await asyncio.wait_for(process.communicate(content), SECONDS)
    except TimeoutError:
        raise UnreadableError(f"it takes more than {SECONDS} s to read") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        reason = said.decode(errors="replace").strip() if process.returncode == _REFUSED else ""
        raise UnreadableError(reason or "it cannot be read as PDF")
    read = json.loads(out)
    outline = Outline()
    for number, text in enumerate(read["pages"], 1):
        outline.page(number)
        outline.text(text)
    title = " ".join(read["title"].split())[:MAX_HEADING].replace("\x00", "\ufffd")
    return Document(title or name, outline.finish())


def main() -> None:
    """The process."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    from pypdf import PdfReader  # only this process needs it

    reader = PdfReader(io.BytesIO(sys.stdin.buffer.read()))
    if reader.is_encrypted:
        _refuse("it is encrypted")
    if len(reader.pages) > MAX_PAGES:
        _refuse(f"it has more than {MAX_PAGES} pages")
    pages: list[str] = []
    for page in reader.pages:
        pages.append(page.extract_text())
        if sum(map(len, pages)) > MAX_TEXT:
            _refuse(f"it has more than {MAX_TEXT} characters")
    title = reader.metadata.title if reader.metadata is not None else None
    sys.stdout.write(json.dumps({"title": str(title or ""), "pages": pages}))


def _refuse(reason: str) -> None:
    sys.stderr.write(reason)
    sys.exit(_REFUSED)


if __name__ == "__main__":
    main()
