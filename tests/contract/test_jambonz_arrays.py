"""Every array of verbs passes both validators that jambonz publishes, whatever the texts and names in it."""

import json
import subprocess
from collections.abc import Iterable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels.voice.jambonz.caller import request_of
from channels.voice.jambonz.listening import collecting, listening, opening
from channels.voice.jambonz.messages import redirect
from channels.voice.jambonz.render import render_intent
from channels.voice.jambonz.transfer import Transfer, announced, dialing, referring
from channels.voice.jambonz.verbs import Hangup, Say, SipDecline, Verb, array, said
from channels.voice.jambonz.warm import JOINS, JambonzWarm
from gateway.domain.call_rules import CallRules, OnMachine
from gateway.domain.ids import new_id
from gateway.domain.intent import CallTransferIntent, DtmfInputSpec, IntentKind, WarmTransfer
from gateway.domain.outgoing_call import CallState, OutgoingCall
from tests.node import node_script

MAX_MESSAGE = 24 * 1024
"""Bytes of the largest message that jambonz reads."""
_HOSTILE = [
    "https://example.org/a.mp3",
    "Note: hello",
    "<speak>x</speak>",
    "silence_stream://9",
    "\x00\ud800",
    "\u202e",
]
_any = st.text(st.characters(), max_size=60) | st.sampled_from(_HOSTILE)
_digits = st.builds(
    DtmfInputSpec,
    expects_input=st.none() | st.booleans(),
    max_digits=st.none() | st.integers(-5, 500),
    termination_digit=st.none() | st.sampled_from(["", "#", "*", "A", "x", "##"]),
    inter_digit_timeout_ms=st.none() | st.integers(-5, 10**6),
    prefix=st.none() | _any,
)
_transfer = st.builds(
    CallTransferIntent,
    destination=st.sampled_from(["+15550111", "sip:desk@example.org", "sips:a@b"]),
    label=st.none() | _any,
    connecting_text=st.none() | _any,
    reason=st.none() | _any,
    warm=st.builds(
        WarmTransfer,
        detect_supervisor_voicemail=st.booleans(),
        detect_supervisor_silence=st.booleans(),
        hold_announcement_text=_any,
        silence_reminder_text=_any,
    ),
)


def _arrays_of(intent: CallTransferIntent) -> Iterable[tuple[Verb, ...]]:
    transfer = Transfer(intent=intent, intent_id=None, session="s", n=3)
    yield announced(transfer)
    yield referring(transfer)
    yield (dialing(transfer),)
    music = "https://example.org/hold.mp3" if intent.label else None
    warm = JambonzWarm(transfer, intent.reason or "", CallRules(hold_music=music))
    yield warm.begin(0).verbs
    yield warm.answered(1, 1)[1]
    yield JOINS


_arrays = (
    st.builds(lambda text: [(opening(), Say(text=said(text)))], _any)
    | st.builds(lambda spec: [collecting(spec), collecting(spec, "Your PIN?")], _digits)
    | st.builds(lambda intent: [*_arrays_of(intent)], _transfer)
    | st.just([listening(), (Hangup(),), (SipDecline(status=404),)])
)


def faults_of(arrays: list[list[dict[str, Any]]]) -> list[list[str]]:
    """What both validators say of each."""
    command = node_script("check_jambonz.js", "@jambonz/schema", "@jambonz/verb-specifications")
    lines = "".join(json.dumps(one) + "\n" for one in arrays)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=120, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_array_is_valid() -> None:
    found: list[list[dict[str, Any]]] = []
    keep = partial(found.extend)
    examples = settings(
        max_examples=150, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )

    @examples
    @given(_arrays)
    def collect(arrays: list[tuple[Verb, ...]]) -> None:
        keep(array(verbs) for verbs in arrays)

    collect()
    assert [faults for faults in faults_of(found) if faults] == []


@pytest.mark.parametrize("on_machine", [None, *OnMachine])
def test_what_the_api_is_asked_for_is_valid(on_machine: OnMachine | None) -> None:
    call = OutgoingCall(
        conversation_id=new_id(),
        organization_id=new_id(),
        ours="+15550100",
        theirs="+15550123",
        state=CallState.DIALING,
        attempt=1,
        claimed_at=0,
    )
    asked = request_of(call, CallRules(on_machine=on_machine))
    application = {"application_sid": new_id(), "call_hook": "wss://gateway.example.org/webhooks/jambonz"}
    assert faults_of([[{"verb": "rest:dial", **application, **asked}]]) == [[]]


def test_the_validators_do_refuse() -> None:
    wrong: list[list[dict[str, Any]]] = [
        [{"verb": "gather", "input": ["thoughts"]}],
        [{"verb": "say", "text": "x", "loudly": True}],
        [{"verb": "dial", "target": []}],
        [{"verb": "sing"}],
        [{"verb": "rest:dial", "call_hook": "x", "from": "1", "to": {"type": "pigeon"}}],
    ]
    assert all(faults_of(wrong))


@given(_digits)
def test_a_gather_always_says_where_its_result_goes_and_how_few_digits_are_enough(
    spec: DtmfInputSpec,
) -> None:
    gathers = [verb for verb in array(collecting(spec)) if verb["verb"] == "gather"]
    assert [(gather["actionHook"], gather["minDigits"]) for gather in gathers] == [("/digits", 1)]
    assert 1 <= gathers[0]["maxDigits"] <= 64
    assert 0.25 <= gathers[0]["interDigitTimeout"] <= 60
    assert gathers[0].get("finishOnKey") != ""


@given(_any)
def test_no_text_is_taken_for_a_recording_or_for_markup(text: str) -> None:
    spoken = said(text)
    assert not spoken.startswith("<")
    assert not spoken.lstrip().lower().startswith(("http:", "https:", "silence_stream:", "file:"))
    spoken.encode("utf-8")


@pytest.mark.parametrize("text", ["x" * 100_000, "é" * 100_000, "\U0001f600" * 100_000])
def test_no_message_is_larger_than_jambonz_reads(text: str) -> None:
    message = redirect([Say(text=said(text))])
    assert len(json.dumps(message, ensure_ascii=False).encode()) < MAX_MESSAGE


@pytest.mark.parametrize(
    ("kind", "payload", "verbs"),
    [
        ("say", {"text": "Hello."}, ["say"]),
        ("collect_dtmf", {"max_digits": 4}, ["config", "gather"]),
        ("hang_up", {}, ["hangup"]),
        ("cancel", {}, []),
        (
            "transfer",
            {"destination": "+15550111", "connecting_text": "One moment."},
            ["config", "say", "dial"],
        ),
        ("transfer", {"destination": "+15550111", "mode": "warm"}, ["config", "say", "dial"]),
        ("transfer", {"destination": "sip:desk@example.org"}, ["config", "sip:refer", "redirect"]),
    ],
)
def test_an_intent_is_shown_as_jambonz_gets_it(kind: str, payload: dict[str, Any], verbs: list[str]) -> None:
    shown = json.loads(render_intent(IntentKind(kind), payload))
    assert [verb["verb"] for verb in shown] == verbs
