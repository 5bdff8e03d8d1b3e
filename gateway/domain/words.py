"""Words in a common form, so that a question finds what is written in another form, in both databases."""

import re
import unicodedata
from collections.abc import Iterator

MAX_WORD = 64
"""Characters of a word that are kept."""

_WORD = re.compile(r"[^\W_]+")
_IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af]+")
_SHORTEST = 3
"""Letters that an ending may leave."""
_DOUBLED = re.compile(r"([bdfgmnprt])\1$")
_OFTEN = """
a an and are as at be but by can do does for from had has have how i if in is it its me my no not of on or
our she so that the their them there they this to was we were what when where which who why will with you
your

aber als am an auch auf aus bei bin bis das dem den der des die ein eine einem einen einer es fur hat ich
ihr im ist kann mein mich mit nach nicht oder sich sie sind um und uns von vom wann war was wie wird wo zu
zum zur

au aux avec ce ces dans de du elle en est et il je la le les leur ma mais mes mon ne nous ou par pas pour
que qui sa se son sur un une vous

al como con cuando del el ella era las lo los mi para pero por se si sin su una y

che chi ci da dei del della di gli ho il io mi nel non per piu sono
"""
_FREQUENT = frozenset(_OFTEN.split())
"""Words of English, German, French, Spanish and Italian that stand in nearly every text."""


def common_words(text: str) -> Iterator[str]:
    """The words of a text in order: lower case, without accents, English endings and frequent words.

    Scripts without spaces give each pair of neighbouring characters.
    """
    folded = "".join(
        c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c)
    )
    for match in _WORD.finditer(unicodedata.normalize("NFC", folded)):
        word = match[0][:MAX_WORD]
        if _IDEOGRAPHS.search(word):
            yield from _pairs(word)
        elif word not in _FREQUENT:
            yield _stem(word)


def _pairs(word: str) -> Iterator[str]:
    if len(word) == 1:
        yield word
    for start in range(len(word) - 1):
        yield word[start : start + 2]


def _stem(word: str) -> str:
    """Without the endings of English; what is of another language is at worst a little too short, alike."""
    if not word.isascii() or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > _SHORTEST + 1:
        return word[:-3] + "y"
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > _SHORTEST:
        word = word[:-1]
    for ending in ("ing", "ed"):
        left = word.removesuffix(ending)
        if left != word and len(left) >= _SHORTEST:
            word = _DOUBLED.sub(r"\1", left)
            break
    return word.removesuffix("e") if len(word) > _SHORTEST + 1 else word
