"""The code blocks of README.md, for the tests that try them as a reader would."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"

_BLOCK = re.compile(
    r"(?:<!-- (?P<how>[^\n]*) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block."""

    language: str
    text: str
    tried_by: str | None
    """The comment before it, which says how it is tried; None: it is not."""


def blocks(language: str) -> Iterator[Block]:
    """The blocks of a language, in order."""
    for match in _BLOCK.finditer(README.read_text("utf-8")):
        if match["language"] == language:
            yield Block(language, textwrap.dedent(match["text"]), match["how"])


def python_file(name: str) -> str:
    """The program whose first line names this file."""
    return next(block.text for block in blocks("python") if block.text.startswith(f"# {name}"))
