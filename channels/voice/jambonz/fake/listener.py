"""How the fake jambonz collects what a caller presses, as its gather does."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Listener:
    """One gather, in the foreground or behind everything."""

    options: dict[str, Any]
    background: bool
    digits: str = ""

    @property
    def hook(self) -> str:
        """Where what comes of it goes."""
        return str(self.options["actionHook"])

    def hears(self, what: str) -> bool:
        """Whether it takes this kind of input."""
        return what in (self.options.get("input") or ["digits"])

    def press(self, key: str) -> str | None:
        """A key; the digits, where they are complete with it."""
        if key == self.options.get("finishOnKey"):
            return self.flush()
        self.digits += key
        full = (self.options.get("numDigits"), self.options.get("maxDigits"))
        return self.flush() if len(self.digits) in full else None

    def time_out(self) -> str | None:
        """No key for the time between digits; None where that does not end it (jambonz without minDigits)."""
        fewest = self.options.get("minDigits")
        if not self.options.get("interDigitTimeout") or fewest is None or len(self.digits) < fewest:
            return None
        return self.flush()

    def flush(self) -> str:
        """The digits so far, which are its result."""
        digits, self.digits = self.digits, ""
        return digits
