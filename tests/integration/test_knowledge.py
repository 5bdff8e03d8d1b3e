"""Knowledge folders as files: indexed, changed, taken away; PDF; the commands."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.domain.clock import Clock
from gateway.domain.ids import named_id
from gateway.domain.ports.store import Store
from gateway.service.knowledge import KnowledgeIndex
from gateway.store.engine import open_store
from tests.integration.commands import Folder as Commands
from tests.schema import schema_file
from workers.knowledge import indexer
from workers.knowledge.folders import Folder
from workers.knowledge.indexer import Indexer, Looked

ORGANIZATION = named_id("organisation of the tests")


def pdf(*pages: str) -> bytes:
    """A small PDF file with a line of text on each page (ISO 32000-1, 7.5)."""
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for n, text in enumerate(pages):
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * n} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>",
            f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        ]
    out, places = "%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{one}\nendobj\n"
    table = "".join(f"{at:010d} 00000 n \n" for at in places)
    size = len(objects) + 1
    out += (
        f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\n"
        f"startxref\n{out.index('xref') if 'xref' in out else len(out)}\n%%EOF\n"
    )
    return out.encode("latin-1")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A store with its schema."""
    url = await schema_file(tmp_path / "gateway.db")
    async with open_store(url, Clock()) as opened:
        yield opened


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A knowledge folder."""
    folder = tmp_path / "docs"
    (folder / "more").mkdir(parents=True)
    (folder / "faq.md").write_text("# Returns\n\nWithin 30 days.")
    (folder / "more" / "hours.html").write_text("<h1>Hours</h1><p>Nine to five.")
    (folder / "notes.TXT").write_text("Parking is behind the house.")
    (folder / "manual.pdf").write_bytes(pdf("How to charge the battery", "Warranty of two years"))
    (folder / ".hidden.md").write_text("secret")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    return folder


async def found(store: Store, question: str) -> list[str]:
    items = await KnowledgeIndex(store).search(ORGANIZATION, ["docs"], question, 5)
    sections = [item.section.display_label if item.section else None for item in items]
    return [f"{item.document_title}: {section}" for item, section in zip(items, sections, strict=True)]


def change(path: Path, text: str) -> None:
    """Write a file so that its time of change differs, however coarse the clock of the disk is."""
    path.write_text(text)
    at = path.stat().st_mtime_ns + 1_000_000_000
    os.utime(path, ns=(at, at))


async def test_files_are_indexed_and_what_changes_is_indexed_again(store: Store, docs: Path) -> None:
    looking = Indexer(store, ORGANIZATION, lambda: [Folder("docs", docs)])
    assert await looking.look() == Looked(indexed=4)
    assert await found(store, "return within days") == ["Returns: 1 Returns"]
    assert await found(store, "warranty") == ["manual: page 2"]
    assert await found(store, "parking") == ["notes: None"]
    assert await found(store, "hours") == ["Hours: 1 Hours"]
    assert not await found(store, "secret")
    assert await looking.look() == Looked()
    change(docs / "faq.md", "# Returns\n\nWithin two weeks.")
    (docs / "notes.TXT").unlink()
    assert await looking.look() == Looked(indexed=1, removed=1)
    assert await found(store, "weeks") == ["Returns: 1 Returns"]
    assert not await found(store, "parking")
    again = Indexer(store, ORGANIZATION, lambda: [Folder("docs", docs)])
    assert await again.look() == Looked()


async def test_a_file_that_cannot_be_read_is_told_of_once_and_keeps_its_old_contents(
    store: Store, docs: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer, "MAX_TEXT_BYTES", 100)
    looking = Indexer(store, ORGANIZATION, lambda: [Folder("docs", docs)])
    (docs / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (docs / "latin.txt").write_bytes(b"caf\xe9")
    assert await looking.look() == Looked(indexed=4, refused=2)
    change(docs / "faq.md", "# Returns\n\n" + "long " * 100)
    assert await looking.look() == Looked(refused=1)
    assert await looking.look() == Looked()
    assert await found(store, "return days") == ["Returns: 1 Returns"]
    told = {getattr(r, "document", ""): getattr(r, "reason", "") for r in caplog.records}
    assert told["broken.pdf"] == "it cannot be read as PDF"
    assert told["latin.txt"] == "it is not UTF-8"
    assert told["faq.md"] == "it is larger than 100 bytes"
    assert "caf" not in caplog.text


async def test_a_folder_that_is_away_keeps_its_index(
    store: Store, docs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    looking = Indexer(store, ORGANIZATION, lambda: [Folder("docs", docs)])
    await looking.look()
    os.rename(docs, tmp_path / "elsewhere")  # noqa: PTH104 - of a test
    for _ in range(2):
        assert await looking.look() == Looked()
    assert await found(store, "warranty")
    assert len([r for r in caplog.records if getattr(r, "action", "") == "knowledge.missing"]) == 1


async def test_the_commands(tmp_path: Path, docs: Path) -> None:
    folder = Commands(tmp_path, {"GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path}/commands.db"})
    (tmp_path / "gateway.toml").write_text(
        '[agents.shop]\nkind = "llm"\nmodel = "test"\nknowledge = ["docs"]\n'
    )
    assert (await folder.gateway("migrate")).code == 0
    indexed = await folder.gateway("knowledge", "index")
    assert (indexed.code, indexed.out) == (0, "indexed 4, removed 0, refused 0\n")
    answer = await folder.gateway("knowledge", "search", "How long is the warranty?")
    assert answer.code == 0
    assert "manual, page 2\n      Warranty of two years\n" in answer.out
    nothing = await folder.gateway("knowledge", "search", "elephants")
    assert (nothing.code, nothing.err) == (
        1,
        "gateway: nothing fits; gateway knowledge index says what is indexed\n",
    )
