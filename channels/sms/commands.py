"""The bodies of `gateway sms segments` and `gateway sms chunk`: lines of text in, lines of text out.

With `jsonl` every line is an object `{"text": …, "smart": …}` (other keys are ignored, empty lines skipped)
and gives one line of JSON; without, all lines together are one text and the answer is for people. Lines end
in LF only, as a text stream gives them, not at the other characters of `str.splitlines`.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256

from pydantic import BaseModel, ConfigDict, StrictBool, StrictStr, ValidationError, computed_field

from channels.sms.chunks import Limits, split
from channels.sms.plain import smart_encode, sms_text
from channels.sms.segments import Encoding, Segments, measure

LONGEST_TEXT = 1_000_000
"""Characters of the longest text (or line of JSON) these commands accept."""


class InputError(ValueError):
    """The input cannot be read; the message is one line and names the line where there is one."""


class TextLine(BaseModel):
    """One line of input; `smart` overrides the command's own flag."""

    model_config = ConfigDict(frozen=True)

    text: StrictStr
    smart: StrictBool | None = None


class SegmentsLine(BaseModel):
    """One line of output of `segments --jsonl`."""

    encoding: Encoding
    units: int
    segments: int
    segment_units: tuple[int, ...]


class PartLine(BaseModel):
    """One part in the output of `chunk --jsonl`; `hash` is the hex SHA-256 of its text in UTF-8."""

    index: int
    text: str
    encoding: Encoding
    segments: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def hash(self) -> str:
        """Alike where the text is."""
        return sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()


class ChunkLine(BaseModel):
    """One line of output of `chunk --jsonl`."""

    parts: tuple[PartLine, ...]
    truncated: bool


def segments_command(lines: Iterable[str], *, smart: bool = False, jsonl: bool = False) -> Iterator[str]:
    """What each text costs; `smart` counts it after Twilio's Smart Encoding. InputError for bad input."""
    if jsonl:
        for line in _read(lines):
            cost = _cost(line.text, smart if line.smart is None else line.smart)
            yield SegmentsLine.model_validate(cost, from_attributes=True).model_dump_json()
        return
    cost = _cost(_whole(lines), smart)
    yield f"encoding {cost.encoding}"
    yield f"units {cost.units}"
    yield f"segments {cost.segments}"
    yield f"segment_units {' '.join(map(str, cost.segment_units))}"


def chunk_command(
    lines: Iterable[str], *, limits: Limits | None = None, number_parts: bool = True, jsonl: bool = False
) -> Iterator[str]:
    """The parts each text would be sent as, after Markdown and transliteration. InputError for bad input."""
    if jsonl:
        for line in _read(lines):
            chunked = split(sms_text(line.text), limits=limits, number_parts=number_parts)
            yield ChunkLine.model_validate(chunked, from_attributes=True).model_dump_json()
        return
    chunked = split(sms_text(_whole(lines)), limits=limits, number_parts=number_parts)
    for part in chunked.parts:
        yield f"--- part {part.index} of {len(chunked.parts)}, {part.encoding}, segments: {part.segments}"
        yield part.text
    if chunked.truncated:
        yield "--- truncated: the rest does not fit into the parts allowed"


def _cost(text: str, smart: bool) -> Segments:
    return measure(smart_encode(text) if smart else text)


def _whole(lines: Iterable[str]) -> str:
    """All lines as one text, without the line end a shell's `echo` adds."""
    taken: list[str] = []
    left = LONGEST_TEXT
    for line in lines:
        left -= len(line)
        if left < 0:
            raise InputError(f"the text is longer than {LONGEST_TEXT} characters")
        taken.append(line)
    return "".join(taken).removesuffix("\n")


def _read(lines: Iterable[str]) -> Iterator[TextLine]:
    for number, line in enumerate(lines, 1):
        if len(line) > LONGEST_TEXT:
            raise InputError(f"line {number}: longer than {LONGEST_TEXT} characters")
        if not line.strip():
            continue
        try:
            yield TextLine.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise InputError(f"line {number}: {f'{where}: ' if where else ''}{first['msg']}") from None
