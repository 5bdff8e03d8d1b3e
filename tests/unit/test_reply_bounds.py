"""Replies folded from any events: bounded, kept whole or refused, with the files that go with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.domain.agent import (
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_TEXT,
    AgentEvent,
    AgentFailed,
    Delta,
    MessageEnd,
    ToolAnswered,
    ToolCalled,
)
from gateway.domain.message import Channel
from gateway.domain.reply import MAX_EVENTS
from gateway.domain.speech import MAX_TOOL_CALLS
from gateway.domain.turn import Path
from tests.unit.replies import APPROVAL, DIGITS, END, HANDOFF, HI, TRANSFER, draft, event, fold, refused, say


def test_everything_is_bounded() -> None:
    assert str(MAX_TEXT) in refused(say("x" * MAX_TEXT), say("x"))
    assert fold(say("x" * MAX_TEXT)).text == "x" * MAX_TEXT
    calls = [ToolCalled(id=str(n), name="t") for n in range(MAX_TOOL_CALLS + 1)]
    assert str(MAX_TOOL_CALLS) in refused(*calls)
    assert len(fold(HI, *calls[:-1]).messages[0].tool_calls) == MAX_TOOL_CALLS
    ends: list[AgentEvent] = [MessageEnd()] * (MAX_EVENTS + 1)
    assert str(MAX_EVENTS) in refused(*ends)
    assert fold(HI, *ends[:-1]).text == "Hi"
    huge = [ToolCalled(id=str(n), name="t", arguments={"a": "x" * 1_000_000}) for n in range(5)]
    assert "bytes" in refused(*huge)


class _Opaque:
    """Nothing JSON knows."""


_LOOP: list[object] = []
_LOOP.append(_LOOP)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {float("nan")}, _Opaque(), _LOOP, "\ud83d", "a\x00b", {"\x00": 1}]
)
def test_values_a_database_cannot_keep_are_refused(value: object) -> None:
    assert "tool_call holds" in refused(HI, ToolCalled(id="a", name="t", arguments={"v": value}))


@pytest.mark.parametrize("value", ["\\u0000", "\\\\u0000", "é😀", None, 1.5, [{"a": []}]])
def test_other_values_are_kept_as_they_are(value: object) -> None:
    reply = fold(HI, ToolCalled(id="a", name="t", arguments={"v": value}))
    assert reply.messages[0].tool_calls[0].arguments == {"v": value}


def test_a_nul_in_a_text_is_refused() -> None:
    assert refused(say("a\x00")) == "a text holds a NUL character"


_texts = st.text(st.sampled_from(" \nab😀"), max_size=4)
_talk = st.one_of(st.builds(say, _texts), st.just(MessageEnd()))


@given(st.lists(_talk))
def test_what_was_shown_is_the_reply(events: list[AgentEvent]) -> None:
    drafted = draft(Channel.VOICE)
    shown = "".join(drafted.add(one, at=101) for one in events)
    reply = drafted.finish()
    assert shown == reply.text
    assert all(m.text.strip() for m in reply.messages)
    said = "".join(one.text for one in events if isinstance(one, Delta))
    assert "".join(shown.split()) == "".join(said.split())


_ids = st.sampled_from("ab")
_anything = st.one_of(
    _talk,
    st.builds(lambda i: ToolCalled(id=i, name="t"), _ids),
    st.builds(lambda i: ToolAnswered(id=i, output=1), _ids),
    st.sampled_from([END, HANDOFF, APPROVAL, TRANSFER, DIGITS, event(type="error"), event(type="usage")]),
)
_PATHS = {
    "end": Path.CLOSED_BY_AGENT,
    "handoff": Path.HANDOFF,
    "approval_required": Path.APPROVAL,
    "call_transfer": Path.HANDOFF,
}


@given(st.lists(_anything, max_size=12), st.sampled_from(Channel))
def test_any_stream_is_refused_or_whole(events: list[AgentEvent], channel: Channel) -> None:
    drafted = draft(channel)
    shown = ""
    try:
        for one in events:
            shown += drafted.add(one, at=101)
        reply = drafted.finish()
    except AgentFailed:
        return
    assert shown == reply.text
    deciding = [_PATHS[one.type] for one in events if one.type in _PATHS]
    assert [reply.path] == (deciding or [Path.SINGLE])
    called = [one.id for one in events if isinstance(one, ToolCalled)]
    assert sorted(c.id for m in reply.messages for c in m.tool_calls) == sorted(called)
    assert reply.text or channel is Channel.VOICE or reply.path is not Path.SINGLE
    assert not reply.intents or channel is Channel.VOICE


def file(name: str = "a.txt", content: object = "YWJj") -> AgentEvent:
    return event(type="attachment", name=name, media_type="text/plain", content=content)


def test_files_go_with_the_message_they_stand_in() -> None:
    reply = fold(
        file("before"),
        event(type="delta", text="One"),
        file("in"),
        event(type="message"),
        event(type="delta", text="Two"),
        event(type="message"),
        file("after", b"raw"),
    )
    assert [[f.name for f in m.files] for m in reply.messages] == [["before", "in"], ["after"]]
    assert [f.content for m in reply.messages for f in m.files] == [b"abc", b"abc", b"raw"]


def test_base64_may_be_broken_into_lines_but_must_be_base64() -> None:
    (message,) = fold(event(type="delta", text="x"), file(content="YW\r\nJj\n")).messages
    assert message.files[0].content == b"abc"
    for wrong in ("YWJ", "Y*Jj", "ä"):
        with pytest.raises(ValidationError):
            file(content=wrong)


def test_files_are_few_and_small() -> None:
    said = event(type="delta", text="x")
    assert "more than 10 attachments" in refused(said, *[file()] * (MAX_FILES + 1))
    half = file(content=bytes(MAX_FILE_BYTES // 2))
    fold(said, half, half)
    assert "attachments of more than" in refused(said, half, half, file())
    assert refused(file()) == "empty reply"
    assert refused(file(), channel=Channel.VOICE) == "an attachment in a reply without a text"
    with pytest.raises(ValidationError):
        file(content=bytes(MAX_FILE_BYTES + 1))
