"""How the demonstration looks: headings, who says what, and what was checked; colours on a terminal only."""

import textwrap
from collections.abc import Callable
from enum import StrEnum
from typing import Final

_WIDTH: Final = 96
_NAME_WIDTH: Final = 9
_RESET: Final = "\x1b[0m"


class Speaker(StrEnum):
    """Who says something."""

    PERSON = "person"
    AGENT = "agent"
    OPERATOR = "operator"


_COLOURS: Final = {Speaker.PERSON: "\x1b[36m", Speaker.AGENT: "\x1b[32m", Speaker.OPERATOR: "\x1b[35m"}
_BOLD: Final = "\x1b[1m"
_FAINT: Final = "\x1b[2m"


class Page:
    """Writes a line at a time."""

    def __init__(self, write: Callable[[str], None], *, colour: bool) -> None:
        self._write = write
        self._colour = colour

    def heading(self, channel: str, about: str) -> None:
        """A channel's part begins."""
        self._write("")
        self._write(f"{self._in(_BOLD, channel)}  {self._in(_FAINT, about)}")

    def said(self, who: Speaker, text: str) -> None:
        """Somebody says something; a long text is wrapped below itself."""
        name = self._in(_COLOURS[who], f"{who.value:<{_NAME_WIDTH}}")
        indent = " " * (_NAME_WIDTH + 4)
        lines = textwrap.wrap(" ".join(text.split()), _WIDTH - len(indent)) or [""]
        self._write(f"  {name}  {lines[0]}")
        for line in lines[1:]:
            self._write(indent + line)

    def checked(self, what: str) -> None:
        """Something that was checked, and is so."""
        self._write(f"  {' ' * _NAME_WIDTH}  {self._in(_FAINT, f'✓ {what}')}")

    def line(self, text: str = "") -> None:
        """A line as it is."""
        self._write(text)

    def _in(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colour else text
