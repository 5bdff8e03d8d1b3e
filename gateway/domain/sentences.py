"""Cuts a text that is still being written into sentences, for hosts that speak whole texts only.

Joined, the sentences are the text. A cut needs the white space that follows it, so that a number, an address
or an amount is never cut in two by the place where a delta happens to end.
"""

import re

MAX_SENTENCE = 500
"""Characters without an end after which a cut is made between words, and at worst within one."""

_END = re.compile(r"[.!?…][\"'”’)\]]*\s+|[。！？]|\n\s*")
_ENGLISH = "dr mr mrs ms prof st sr jr vs etc approx dept est fig inc ltd nos vol gen col rev hon capt sgt"
_LATIN = "e.g i.e a.m p.m cf al"
_GERMAN = "z.b d.h u.a usw bzw ca str tel evtl ggf inkl nr"
_ABBREVIATIONS = frozenset(f"{_ENGLISH} {_LATIN} {_GERMAN}".split())
_WORD = re.compile(r"\S+$")


class Sentences:
    """One text."""

    def __init__(self) -> None:
        self._rest = ""

    def add(self, text: str) -> list[str]:
        """The sentences that are complete now."""
        self._rest += text
        done: list[str] = []
        start = 0
        for end in _END.finditer(self._rest):
            if self._ends(start, end):
                done.append(self._rest[start : end.end()])
                start = end.end()
        self._rest = self._rest[start:]
        while len(self._rest) > MAX_SENTENCE:
            cut = self._rest.rfind(" ", 1, MAX_SENTENCE) + 1 or MAX_SENTENCE
            done.append(self._rest[:cut])
            self._rest = self._rest[cut:]
        return done

    def finish(self) -> list[str]:
        """What is left when the text is complete."""
        rest, self._rest = self._rest, ""
        return [rest] if rest else []

    def _ends(self, start: int, end: re.Match[str]) -> bool:
        """Whether a sentence ends here, and not an abbreviation, an initial or an item's number."""
        if not self._rest[start : end.end()].strip():
            return False
        if end[0][0] != "." or "\n" in end[0]:
            return True
        word = _WORD.search(self._rest, start, end.start())
        if word is None:
            return True
        bare = word[0].lstrip("(\"'“‘[").lower()
        if bare in _ABBREVIATIONS or (len(bare) == 1 and bare.isalpha()):
            return False
        return not (bare.isdigit() and word.start() == start)
