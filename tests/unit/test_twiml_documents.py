"""Every document of a call passes a checker made of the official library's own elements."""

from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from channels.voice.render import (
    render_next_attempt,
    render_outcome,
    render_transfer,
    render_transfer_failed,
    render_whisper,
)
from channels.voice.steps import Links, Step
from channels.voice.twiml import document
from channels.voice.verbs import Connect, Dial, Gather, HangUp, Join, Pause, Play, Redirect, Refer, Say
from channels.voice.warm.documents import caller_document, leg_document
from channels.voice.wishes import wishes_of
from gateway.domain.call_rules import CallTexts, Speech
from gateway.domain.conversation import Status
from gateway.domain.intent import resolve_transfer
from gateway.domain.turn import Path, TurnState
from gateway.domain.warm.held import NewTransfer, happen, hold
from gateway.domain.warm.words import CallerGone, Cancel, Event, Leg, LegEvent, Spoken, Tick
from tests.turns import outcome
from tests.twiml_checker import faults

LINKS = Links("https://gateway.test")
_text = st.text(st.characters(), max_size=100)
_hostile = st.sampled_from(
    ["</Say><Dial>+15550199</Dial>", "&amp;<!--", "]]>", '"/><Hangup a="', "\x00\ud800"]
)
_any = _text | _hostile | st.builds(str.__add__, _text, _hostile)
_number = st.none() | st.integers(-10, 10**7)
_warm = st.none() | st.builds(
    lambda seconds, said: {"max_dial_seconds": seconds, "failure_text": said}, st.integers(-9, 9999), _any
)
_transfer = st.fixed_dictionaries(
    {
        "destination": _any.filter(bool) | st.sampled_from(["+15550111", "sip:desk@example.org"]),
        "mode": st.sampled_from(["cold", "warm"]),
        "label": st.none() | _any,
        "connecting_text": st.none() | _any,
        "reason": st.none() | _any,
        "on_failure": st.none() | _any | st.sampled_from(["hangup", "voicemail"]),
        "warm": _warm,
    }
)
_digits = st.fixed_dictionaries(
    {
        "expects_input": st.none() | st.booleans(),
        "max_digits": st.none() | st.integers(1, 64),
        "termination_digit": st.none() | st.sampled_from(["", "#", "*", "A", "7"]),
        "inter_digit_timeout_ms": st.none() | st.integers(250, 60_000),
        "prefix": st.none() | _any,
    }
)
_intents = st.lists(
    st.builds(lambda payload: {"kind": "transfer", "payload": payload, "intent_id": "i"}, _transfer)
    | st.builds(lambda payload: {"kind": "collect_dtmf", "payload": payload}, _digits)
    | st.just({"kind": "hang_up", "payload": {}}),
    max_size=2,
)


@given(
    text=_any,
    intents=_intents,
    path=st.none() | st.sampled_from(Path),
    status=st.sampled_from(Status),
    state=st.sampled_from(TurnState),
)
def test_what_follows_a_turn_is_a_document(
    text: str, intents: list[dict[str, Any]], path: Path | None, status: Status, state: TurnState
) -> None:
    said = outcome(text, path=path, status=status, state=state, intents=intents)
    assert faults(render_outcome(said, LINKS, Step(n=3), CallTexts()).twiml()) == []
    assert faults(render_transfer_failed(wishes_of(intents), LINKS, 3).twiml()) == []


@given(_transfer)
def test_nothing_in_a_transfer_dials_anybody_else(payload: dict[str, Any]) -> None:
    intent = wishes_of([{"kind": "transfer", "payload": payload, "intent_id": "i"}]).transfer
    assume(intent is not None)
    assert intent is not None
    twiml = render_transfer(intent, LINKS, Step(n=1)).twiml()
    assert faults(twiml) == []
    dialled = [found.text for found in ElementTree.fromstring(twiml).iter() if found.tag in ("Number", "Sip")]
    assert dialled in ([], [intent.destination])


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        ("<Response><Say><Dial/></Say></Response>", "Say holds no Dial"),
        ("<Response><Gather numDigits='-3'/></Response>", "numDigits"),
        ("<Response><Gather bogus='1'/></Response>", "Gather has no bogus"),
        ("<Response><Dial timeout='1'><Number>+15550111</Number></Dial></Response>", "timeout"),
        ("<Response><Dial><Number>911;x</Number></Dial></Response>", "Number"),
        ("<Response><Pause length='0'/></Response>", "length"),
        ("<Response><Redirect method='PUT'>https://a.test/</Redirect></Response>", "method"),
        ("<Answer/>", "root"),
    ],
)
def test_the_checker_finds_what_is_wrong(broken: str, fault: str) -> None:
    assert any(fault in found for found in faults(broken))


@pytest.mark.parametrize(
    "speech",
    [Speech(), Speech(language="de-DE", voice="Polly.Vicki-Neural"), Speech(voice="ElevenLabs.a1-b_1.0")],
)
def test_every_verb_is_known_to_it(speech: Speech) -> None:
    verbs = (
        Gather(action="https://gateway.test/next", prompts=(Say("PIN?"), Say("Please."))),
        Dial(destination="+15550111", action="https://gateway.test/dialed", timeout_seconds=30),
        Dial(destination="sip:desk@example.org", action="https://gateway.test/dialed", timeout_seconds=30),
        Dial(
            destination="+15550111",
            action="https://gateway.test/dialed",
            timeout_seconds=30,
            whisper="https://gateway.test/whisper?n=1&a=1",
        ),
        Refer(destination="sip:desk@example.org", action="https://gateway.test/referred"),
        Join(room="t-1", action="https://gateway.test/a", events="https://gateway.test/room", begins=True),
        Gather(action="https://gateway.test/leg", keys_only=True),
        Pause(1),
        Play("https://music.test/hold.mp3"),
        Redirect("https://gateway.test/wait"),
        Connect(url="wss://gateway.test/relay", action="https://gateway.test/relayed", greeting="Hello!"),
        Say("Good bye."),
        HangUp(),
    )
    assert faults(document(verbs, speech)) == []


_LEG_EVENTS = st.builds(Leg, st.integers(1, 3), st.sampled_from(LegEvent))
_events = st.lists(st.sampled_from([Tick(), Spoken(), CallerGone(), Cancel()]) | _LEG_EVENTS, max_size=12)


@given(
    payload=_transfer,
    briefing=_any,
    events=_events,
    session=st.sampled_from(["", "VX1"]),
    told=st.integers(0, 3),
    tries=st.integers(0, 1),
)
def test_both_calls_of_a_warm_transfer_are_told_documents(
    payload: dict[str, Any], briefing: str, events: list[Event], session: str, told: int, tries: int
) -> None:
    intent = wishes_of([{"kind": "transfer", "payload": {**payload, "mode": "warm"}}]).transfer
    assume(intent is not None)
    assert intent is not None
    held = hold(
        NewTransfer(
            id="0190a000-0000-7000-8000-000000000001",
            provider="twilio",
            call_id="CA1",
            conversation_id="c",
            sender="+14155550123",
            recipient="+15550100",
            proven=True,
            n=1,
            session="",
            intent=resolve_transfer(intent)[0],
            briefing=briefing,
        ),
        0,
    )
    for at, event in enumerate(events):
        held = happen(held, event, at * 10_000_000)
        step = Step(n=1, transfer=held.id, attempt=1, told=told, session=session, tries=tries)
        for music in (None, "https://music.test/hold.mp3"):
            assert faults(document(caller_document(held, step, LINKS, CallTexts(), music))) == []
        assert faults(document(leg_document(held, step, LINKS))) == []


@given(payload=_transfer, briefing=_any, attempt=st.integers(0, 7), digits=st.sampled_from(["", "1", "2"]))
def test_a_whisper_is_a_document(payload: dict[str, Any], briefing: str, attempt: int, digits: str) -> None:
    payload = {**payload, "mode": "warm", "briefing_text": briefing}
    wishes = wishes_of([{"kind": "transfer", "payload": payload, "intent_id": "i"}])
    step = Step(n=1, attempt=attempt)
    assert faults(render_whisper(wishes, LINKS, step, digits).twiml()) == []
    following = render_next_attempt(wishes, LINKS, step)
    assert following is None or faults(following.twiml()) == []
