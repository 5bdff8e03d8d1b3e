"""The corpus of replies: its cases, and when an output is acceptable or has lost text."""

import re
from collections.abc import Iterator
from csv import DictReader
from dataclasses import dataclass

from tests.corpora import corpus

_MEDIA_TYPES = {"txt": "text/plain", "html": "text/html"}


@dataclass(frozen=True, slots=True)
class Case:
    """One mail and what may be left of it."""

    name: str
    ext: str
    language: str
    category: str
    content: bytes
    bounds: tuple[tuple[str, str], ...]
    """(least, most) of each acceptable output."""

    @property
    def raw(self) -> bytes:
        """The case as a mail."""
        if self.ext == "eml":
            return self.content
        head = f"From: ana@example.org\nContent-Type: {_MEDIA_TYPES[self.ext]}; charset=utf-8\n\n"
        return head.encode() + self.content

    def _seen(self, text: str) -> str:
        """What counts of a text: no white space, and for HTML no decoration."""
        return re.sub(r"[\s\u200b>*_|-]+" if self.ext == "html" else r"\s+", "", text)

    def accepts(self, text: str) -> bool:
        """Whether an output is acceptable."""
        seen = self._seen(text)
        return any(
            seen.startswith(self._seen(least)) and self._seen(most).startswith(seen)
            for least, most in self.bounds
        )

    def has_lost(self, text: str) -> bool:
        """Whether an output lacks text of the sender's."""
        seen = self._seen(text)
        return not any(self._seen(least) in seen for least, _ in self.bounds)


def cases() -> Iterator[Case]:
    """Every case. Raises FileNotFoundError where there is no corpus."""
    folder = corpus("email-replies")
    with (folder / "MANIFEST.tsv").open(encoding="utf-8") as manifest:
        for row in DictReader(manifest, delimiter="\t"):
            name = row["name"]
            expected = (folder / f"{name}.expected.txt").read_text("utf-8")
            accept = folder / f"{name}.accept.txt"
            alternatives = accept.read_text("utf-8").split("%%%%ALT%%%%") if accept.is_file() else []
            bounds = [text.partition("%%%%MAX%%%%") for text in (*alternatives, expected)]
            yield Case(
                name,
                row["ext"],
                row["language"],
                row["category"],
                (folder / f"{name}.{row['ext']}").read_bytes(),
                tuple((least, most or least) for least, _, most in bounds),
            )
