"""The folders of documents that agents know, and the files in them that can be read."""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.service.knowledge import MAX_DOCUMENTS
from gateway.settings import GatewayConfig, HttpAgent, LlmAgent, PythonAgent
from workers.knowledge.formats import READERS

MAX_DEPTH = 20
"""Folders within each other."""
MAX_ENTRIES = 50_000
"""Files and folders that are looked at."""
PDF = ".pdf"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Folder:
    """A knowledge folder."""

    name: str
    """As gateway.toml has it."""
    path: Path


@dataclass(frozen=True, slots=True)
class File:
    """A document in a folder."""

    path: Path
    name: str
    """Within the folder, with slashes."""
    stamp: tuple[int, int]
    """Size and time of change: while they are the same, so are the contents."""


def folders_of(config: GatewayConfig, beside: Path | None) -> Sequence[Folder]:
    """The folders that the agents name; relative ones lie beside gateway.toml."""
    names = [
        name
        for agent in config.agents.values()
        if isinstance(agent.definition, HttpAgent | LlmAgent | PythonAgent)
        for name in agent.definition.knowledge
    ]
    base = Path() if beside is None else beside.parent
    return [Folder(name, base / name) for name in dict.fromkeys(names)]


def files_of(folder: Path) -> list[File] | None:
    """The documents of a folder, in order, without links and hidden ones; None where it is not there."""
    if not folder.is_dir():
        return None
    found: list[File] = []
    for path in _walk(folder):
        if path.suffix.lower() not in READERS and path.suffix.lower() != PDF:
            continue
        if len(found) == MAX_DOCUMENTS:
            _log.warning(
                "documents were left out",
                extra={"action": "knowledge.left_out", "folder": folder.name, "most": MAX_DOCUMENTS},
            )
            break
        try:
            stat = path.stat()
        except OSError:
            continue  # gone meanwhile
        found.append(File(path, path.relative_to(folder).as_posix(), (stat.st_size, stat.st_mtime_ns)))
    return found


def _walk(folder: Path) -> Iterator[Path]:
    entries = 0
    for root, folders, files in os.walk(folder):
        here = Path(root)
        deep = len(here.relative_to(folder).parts) >= MAX_DEPTH
        folders[:] = [] if deep else sorted(name for name in folders if not name.startswith("."))
        entries += len(folders) + len(files)
        if entries > MAX_ENTRIES:
            return
        for name in sorted(files):
            path = here / name
            if not name.startswith(".") and not path.is_symlink():
                yield path
