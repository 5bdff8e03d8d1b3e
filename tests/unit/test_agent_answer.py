"""The bodies of HTTP agents' answers: cut anywhere, out of form, out of bounds."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.agent import AgentEvent, AgentFailed, Delta
from workers.agents.answer import (
    MAX_ANSWER,
    MAX_LINE,
    OBJECT_TYPE,
    STREAM_TYPE,
    ObjectAnswer,
    StreamAnswer,
    answer_of,
)


def streamed(*pieces: bytes) -> list[AgentEvent]:
    answer = StreamAnswer()
    return [event for piece in pieces for event in answer.feed(piece)] + list(answer.end())


def whole(value: object) -> list[AgentEvent]:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    answer = ObjectAnswer()
    return [event for piece in (body[:3], body[3:]) for event in answer.feed(piece)] + list(answer.end())


def refused(read: Any, *values: object) -> str:
    with pytest.raises(AgentFailed) as caught:
        read(*values)
    return caught.value.reason


def test_lines_are_events() -> None:
    body = (
        b'{"type": "delta", "text": "a"}\r\n\n  \n{"event": "message", "x": 1}\n{"type": "end", "event": "x"}'
    )
    assert [event.type for event in streamed(body)] == ["delta", "message", "end"]


@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5)),
    cuts=st.lists(st.integers(0, 400)),
    last=st.booleans(),
)
def test_a_stream_may_be_cut_anywhere(texts: list[str], cuts: list[int], last: bool) -> None:
    lines = [json.dumps({"type": "delta", "text": text}, ensure_ascii=False) for text in texts]
    body = ("\n".join(lines) + ("\n" if last else "")).encode()
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    pieces = [body[start:end] for start, end in pairwise(edges)]
    assert streamed(*pieces) == [Delta(text=text) for text in texts]


def test_an_event_is_there_as_soon_as_its_line_is() -> None:
    answer = StreamAnswer()
    assert list(answer.feed(b'{"type":"delta","text":"a"}')) == []
    assert list(answer.feed(b'\n{"type":"delta"')) == [Delta(text="a")]


@given(st.binary(max_size=60))
def test_any_bytes_are_events_or_a_failure(body: bytes) -> None:
    for read in (streamed, whole):
        try:
            read(body)
        except AgentFailed as failed:
            printable = body.decode("latin-1").strip()
            assert len(printable) < 8 or printable not in failed.reason  # noqa: PT017


SECRET_LINES = [
    (b"secret1234", "not JSON"),
    (b'{"type": "delta", "text": "secret1234"', "not JSON"),
    (b'{"type": "delta", "text": "\\ud83d secret1234"}', "not JSON"),
    (b'"secret1234"', "not an object"),
    (b'["secret1234"]', "not an object"),
    (b'{"type": "secret1234"}', "not valid: type"),
    (b'{"text": "secret1234"}', "not valid: type"),
    (b'{"type": ["secret1234"]}', "not valid: type"),
    (b'{"type": "delta", "text": {"secret1234": 1}}', "not valid: delta.text"),
    (b'{"type": "handoff", "reason": 1234}', "not valid: handoff.reason"),
    (b"[" * 5000, "not JSON"),
    (b'{"type": "usage", "input_tokens": ' + b"9" * 5000 + b"}", "not JSON"),
]


@pytest.mark.parametrize(("line", "reason"), SECRET_LINES)
def test_a_bad_line_is_a_failure_that_does_not_repeat_it(line: bytes, reason: str) -> None:
    said = refused(streamed, b'{"type": "delta", "text": "fine"}\n' + line + b"\n")
    assert reason in said
    assert "1234" not in said


def test_an_object_is_its_text_and_its_events() -> None:
    events = whole(
        {
            "handoff": {"reason": "asked"},
            "usage": {"model": "m"},
            "tool_result": [{"id": "a", "output": 1}, {"id": "b", "output": 2}],
            "tool_call": [{"id": "a", "name": "x"}, {"id": "b", "name": "y"}],
            "text": "Hello",
            "end": None,
        }
    )
    assert [event.type for event in events] == [
        "delta",
        "tool_call",
        "tool_call",
        "tool_result",
        "tool_result",
        "usage",
        "handoff",
    ]
    assert events[0] == Delta(text="Hello")
    assert whole({"text": None, "handoff": {}})[0].type == "handoff"
    assert whole({}) == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"text": "a", "secret1234": {}}, "none of text, delta"),
        ({"text": "a", "type": "delta"}, "none of text, delta"),
        ({"text": 1234}, "not valid: delta.text"),
        ({"text": "a", "end": True}, "end (not an object)"),
        ({"text": "a", "handoff": ["secret1234"]}, "handoff (not an object)"),
        ({"evidence": {"items": [{"chunk_id": 1234}]}}, "not valid: evidence.items.0.chunk_id"),
        (["secret1234"], "not an object"),
        (b"", "not JSON"),
    ],
)
def test_a_bad_object_is_a_failure_that_does_not_repeat_it(value: object, reason: str) -> None:
    said = refused(whole, value)
    assert reason in said
    assert "1234" not in said


def test_a_line_has_an_end() -> None:
    fitting = b'{"type":"delta","text":"%s"}'
    room = MAX_LINE - len(fitting) + 2
    kept = b'{"type":"evidence","items":[],"padding":"'
    line = kept + b"x" * (MAX_LINE - len(kept) - 2) + b'"}'
    assert len(line) == MAX_LINE
    assert [event.type for event in streamed(line + b"\n" + kept + b'"}')] == ["evidence", "evidence"]
    assert str(MAX_LINE) in refused(streamed, b"x" * room, b"x" * 1000)
    assert str(MAX_LINE) in refused(streamed, line + b" \n")


def test_an_answer_has_an_end() -> None:
    blank = (b" " * 1023 + b"\n") * (MAX_ANSWER // 4096)
    assert streamed(*[blank] * 4) == []
    assert str(MAX_ANSWER) in refused(streamed, *[blank] * 4, b"\n")
    assert str(MAX_ANSWER) in refused(whole, b" " * (MAX_ANSWER + 1))


def test_the_content_type_tells_how_to_read() -> None:
    assert isinstance(answer_of(STREAM_TYPE), StreamAnswer)
    assert isinstance(answer_of(OBJECT_TYPE), ObjectAnswer)
    assert "neither" in refused(answer_of, "text/html")
