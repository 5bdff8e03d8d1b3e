"""What the command line says about a text: costs, parts, and where bad input is."""

import json

import pytest

from channels.sms.chunks import Limits
from channels.sms.commands import LONGEST_TEXT, InputError, chunk_command, segments_command


def test_segments_of_a_text() -> None:
    assert list(segments_command(["x" * 160 + "\n", "y\n"])) == [
        "encoding GSM-7",
        "units 162",
        "segments 2",
        "segment_units 153 9",
    ]
    assert next(segments_command(["“x”"])) == "encoding UCS-2"
    assert next(segments_command(["“x”"], smart=True)) == "encoding GSM-7"


def test_segments_by_line() -> None:
    lines = [
        '{"text": "€", "id": "ignored"}\n',
        "\n",
        '{"text": "“”", "smart": true}',
        '{"text": "“", "smart": false}',
    ]
    assert [json.loads(line) for line in segments_command(lines, jsonl=True, smart=True)] == [
        {"encoding": "GSM-7", "units": 2, "segments": 1, "segment_units": [2]},
        {"encoding": "GSM-7", "units": 2, "segments": 1, "segment_units": [2]},
        {"encoding": "UCS-2", "units": 1, "segments": 1, "segment_units": [1]},
    ]


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        ("{", "Invalid JSON"),
        ('{"txt": "x"}', "text: Field required"),
        ('{"text": 3}', "text: Input should be a valid string"),
        ('{"text": "x", "smart": "yes"}', "smart: Input should be a valid boolean"),
        ("[]", "object"),
    ],
)
@pytest.mark.parametrize("command", [segments_command, chunk_command])
def test_a_bad_line_is_named(command: type, bad: str, what: str) -> None:
    answers = command(['{"text": "fine"}\n', bad], jsonl=True)
    next(answers)
    with pytest.raises(InputError, match=f"^line 2: .*{what}") as caught:
        next(answers)
    assert "\n" not in str(caught.value)


def test_a_text_without_end_is_refused() -> None:
    with pytest.raises(InputError, match="longer than"):
        list(segments_command("x" * 1000 for _ in range(LONGEST_TEXT)))
    with pytest.raises(InputError, match="line 1: longer than"):
        list(segments_command(["x" * (LONGEST_TEXT + 1)], jsonl=True))


def test_parts_of_a_reply() -> None:
    reply = ["**Hello** “you”\n", "\n", "x" * 150, "\n"]
    assert list(chunk_command(reply, limits=Limits(max_segments=1))) == [
        "--- part 1 of 2, GSM-7, segments: 1",
        'Hello "you"',
        "--- part 2 of 2, GSM-7, segments: 1",
        "x" * 150,
    ]
    assert list(chunk_command(["x" * 200], limits=Limits(max_segments=1, max_parts=1)))[-1].startswith(
        "--- truncated"
    )


def test_parts_by_line() -> None:
    (line,) = chunk_command(['{"text": "# Hi"}'], jsonl=True)
    assert json.loads(line) == {
        "parts": [{
            "index": 1,
            "text": "Hi",
            "encoding": "GSM-7",
            "segments": 1,
            "hash": "3639efcd08abb273b1619e82e78c29a7df02c1051b1820e99fc395dcaa3326b8",
        }],
        "truncated": False,
    }  # fmt: skip
