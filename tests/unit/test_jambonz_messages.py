"""What jambonz says of a call: its messages, hooks and addresses."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.voice.jambonz.address import parties_of
from channels.voice.jambonz.messages import (
    CallStatus,
    Dialed,
    Gathered,
    Incoming,
    Opened,
    Place,
    Referred,
    Taken,
    read_message,
)
from channels.voice.jambonz.transfer import dialed, referred
from gateway.domain.message import Role

SID = "7c2a8b3e-2f4e-4f7c-9c3e-0a5c1b2d3e4f"
CALL = {"call_sid": SID, "direction": "inbound", "from": "14155550123", "to": "15550100"}


def message(kind: str, data: object, **more: object) -> Incoming:
    """As it is read."""
    found = read_message(json.dumps({"type": kind, "msgid": "abc123", "call_sid": SID, "data": data, **more}))
    assert found is not None
    return found


def test_what_no_database_keeps_is_no_part_of_a_text() -> None:
    speech = {"alternatives": [{"transcript": "a\x00b\ud800c \U0001f600"}]}
    found = message("verb:hook", {"reason": "speechDetected", "speech": speech}, hook="/input").event
    assert isinstance(found, Gathered)
    said = parties_of(Opened.model_validate(CALL)).message("1", found.transcript, Role.USER, {}, 0)
    assert said.text == "a\ufffdb\ufffdc \U0001f600"
    assert message("call:status", CALL | {"call_sid": "\x00"}).event is None


def test_a_call_is_announced() -> None:
    found = message("session:new", CALL | {"originating_sip_trunk_name": "carrier", "sip": {"headers": {}}})
    assert found.expects_ack
    assert found.event == Opened.model_validate(CALL | {"originating_sip_trunk_name": "carrier"})
    again = message("session:reconnect", CALL).event
    assert isinstance(again, Opened)
    assert again.again


def test_what_was_said_is_the_likeliest_reading() -> None:
    speech = {"is_final": True, "language_code": "en-US", "vendor": {"name": "x"}}
    speech["alternatives"] = [{"transcript": " hello ", "confidence": 0.9}, {"transcript": "yellow"}]
    found = message("verb:hook", {"reason": "speechDetected", "speech": speech}, hook="/input")
    assert isinstance(found.event, Gathered)
    assert (found.event.transcript, found.event.lang) == ("hello", "en-US")
    assert found.expects_ack


def test_what_is_null_is_nothing() -> None:
    found = message("verb:hook", {"reason": "timeout", "digits": None, "speech": None}, hook="/digits")
    assert found.event == Gathered(reason="timeout")


@pytest.mark.parametrize("kind", ["llm:event", "session:adulting", "verb:hook", "a new one"])
def test_what_is_not_known_is_only_acknowledged(kind: str) -> None:
    found = message(kind, {"x": 1}, hook="/elsewhere")
    assert found.event is None
    assert found.expects_ack == (kind in ("session:adulting", "verb:hook"))


@pytest.mark.parametrize(
    "raw", ["", "[]", "{}", '{"type": 1}', '{"type": "verb:hook", "msgid": "a b"}', "[" * 10_000]
)
def test_what_is_no_message_is_left_out(raw: str) -> None:
    assert read_message(raw) is None


@given(
    st.text(max_size=300)
    | st.recursive(st.none() | st.integers() | st.text(max_size=20), st.lists).map(json.dumps)
)
def test_whatever_comes_is_read_or_left_out(raw: str) -> None:
    read_message(raw)
    read_message(json.dumps({"type": "verb:hook", "msgid": "a", "hook": raw, "data": {"reason": raw}}))
    read_message(json.dumps({"type": "session:new", "msgid": "a", "data": {"call_sid": raw, "from": raw}}))


@given(
    st.from_regex(r"[A-Za-z0-9]{1,64}", fullmatch=True),
    st.integers(0, 99_999),
    st.integers(0, 999),
    st.integers(0, 9),
)
def test_a_place_is_found_again(session: str, n: int, attempt: int, step: int) -> None:
    place = Place("/dialed", session, n, attempt, step)
    assert Place.parse(place.url) == place


def test_tokens_that_were_refused_say_why() -> None:
    found = message("tts:tokens-result", {"id": 7, "status": "failed", "reason": "full"})
    assert found.event == Taken(id=7, status="failed", reason="full")
    assert not found.expects_ack


@pytest.mark.parametrize(
    ("change", "theirs", "ours", "proven"),
    [
        ({}, "+14155550123", "+15550100", True),
        ({"from": "+14155550123", "to": "+15550100"}, "+14155550123", "+15550100", True),
        ({"originating_sip_trunk_name": ""}, "+14155550123", "+15550100", False),
        ({"from": "anonymous"}, f"anonymous:{SID}", "+15550100", False),
        ({"from": "sip:anonymous@anonymous.invalid"}, f"anonymous:{SID}", "+15550100", False),
        ({"from": "Restricted"}, f"anonymous:{SID}", "+15550100", False),
        ({"from": "desk"}, "alpha:desk", "+15550100", False),
        ({"from": "de\x00sk"}, "alpha:de\ufffdsk", "+15550100", False),
        ({"from": "sip:ada@example.org"}, "sip:ada@example.org", "+15550100", False),
        (
            {"from": "15550100", "to": "14155550123", "direction": "outbound"},
            "+14155550123",
            "+15550100",
            True,
        ),
    ],
)
def test_who_calls(change: dict[str, Any], theirs: str, ours: str, proven: bool) -> None:
    opened = Opened.model_validate(CALL | {"originating_sip_trunk_name": "carrier"} | change)
    parties = parties_of(opened)
    assert (parties.theirs, parties.ours, parties.proven) == (theirs, ours, proven)
    assert parties_of(CallStatus.model_validate(opened.model_dump(by_alias=True))) == parties


@pytest.mark.parametrize(
    ("status", "code", "state", "reason"),
    [
        ("completed", 200, "transferred", None),
        ("busy", 486, "failed", "busy"),
        ("no-answer", 487, "failed", "no_answer"),
        ("failed", 404, "failed", "invalid_destination"),
        ("failed", 603, "failed", "declined"),
        ("failed", None, "failed", "bridge_error"),
        ("a new word", 503, "failed", "bridge_error"),
    ],
)
def test_how_a_dial_ended(status: str, code: int | None, state: str, reason: str | None) -> None:
    fields = dialed(Dialed(dial_call_status=status, dial_sip_status=code)).fields()
    assert (fields["state"], fields["reason"], fields["method_used"]) == (state, reason, "bridge")


@pytest.mark.parametrize(
    ("status", "final", "state", "reason"),
    [
        (202, 200, "transferred", None),
        (202, None, "transfer_presumed", None),
        (202, 486, "failed", "refer_target_failed"),
        (603, None, "failed", "refer_rejected"),
        (200, None, "failed", "refer_rejected"),
        (0, None, "failed", "refer_rejected"),
    ],
)
def test_how_a_refer_ended(status: int, final: int | None, state: str, reason: str | None) -> None:
    fields = referred(Referred(refer_status=status, final_referred_call_status=final)).fields()
    assert (fields["state"], fields["reason"], fields["method_used"]) == (state, reason, "refer")
