"""Verbs, outcomes and intents as TwiML."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.voice.destination import destination_kind
from channels.voice.downgrade import Downgrade
from channels.voice.render import CannotRender, Rendering, render_file, render_outcome
from channels.voice.steps import MAX_PREFIX, Links, Step
from channels.voice.twiml import SAY_CHARACTERS, SPOKEN_CHARACTERS, document
from channels.voice.verbs import Connect, Dial, Gather, HangUp, Pause, Redirect, Say
from channels.voice.wishes import wishes_of
from gateway.domain.call_rules import CallTexts, Speech
from gateway.domain.conversation import Status
from gateway.domain.errors import ErrorCode
from gateway.domain.intent import DtmfInputSpec, WarmTransfer
from gateway.domain.turn import Path, TurnOutcome, TurnState
from tests.turns import outcome

LINKS = Links("https://gateway.test")
TEXTS = CallTexts()
_any_text = st.text(st.characters(), max_size=200)


def intent(kind: str, **payload: object) -> dict[str, Any]:
    """A stored intent."""
    return {"intent_id": f"id-of-{kind}", "kind": kind, "payload": payload}


def parsed(rendering: Rendering) -> ElementTree.Element:
    """The document, read by a parser."""
    return ElementTree.fromstring(rendering.twiml())


def shape(rendering: Rendering) -> list[str]:
    """The document as tags and texts, in order."""
    return [f"{e.tag}:{e.text}" if e.text else e.tag for e in parsed(rendering).iter()][1:]


def query_of(url: str | None) -> dict[str, str]:
    """The query of an action."""
    return dict(parse_qsl(urlsplit(url or "").query, keep_blank_values=True))


@given(said=_any_text, url=_any_text, prefix=_any_text)
def test_no_text_breaks_the_document(said: str, url: str, prefix: str) -> None:
    digits = DtmfInputSpec(prefix=prefix)
    step = Step(n=1, digits=digits)
    verbs = (Say(said), Gather(action=LINKS.input(step), prompts=(Say(said),), digits=digits))
    root = ElementTree.fromstring(document(verbs))
    assert root.tag == "Response"
    assert {child.tag for child in root} <= {"Say", "Gather"}
    assert [grand.tag for grand in root.iter()].count("Gather") == 1
    spoken = "".join(root.itertext())
    assert "<Dial" not in document((Say(f"<Dial>{said}</Dial>"),))
    kept = "".join(c for c in said if c.isalnum())
    assert kept in "".join(c for c in spoken if c.isalnum()) or not kept


@given(text=st.text(st.characters(), min_size=1, max_size=30), times=st.integers(1, 1000))
def test_speech_is_bounded_and_in_pieces(text: str, times: int) -> None:
    whole = document((Say(text * times), Say(text * times)))
    assert len(whole.encode()) < 64 * 1024
    pieces = [say.text or "" for say in ElementTree.fromstring(whole)]
    assert all(0 < len(piece) <= SAY_CHARACTERS for piece in pieces)
    assert sum(map(len, pieces)) <= SPOKEN_CHARACTERS


def test_a_long_reply_is_cut_between_words() -> None:
    words = "seven77 " * 1100
    pieces = [say.text or "" for say in ElementTree.fromstring(document((Say(words),)))]
    assert len(pieces) == 3
    assert " ".join(pieces).split() == words.split()


def test_what_is_said_and_heard_is_in_the_language_and_the_voice_that_are_set() -> None:
    speech = Speech(language="de-DE", voice="Polly.Vicki-Neural")
    verbs = (
        Say("Hallo"),
        Gather(action="/next", prompts=(Say("Und?"),)),
        Gather(action="/next", prompts=(Say("Taste 1."),), keys_only=True),
        Connect(url="wss://gateway.test/relay", action="/relayed", greeting="Hallo"),
    )
    said = {"language": "de-DE", "voice": "Polly.Vicki-Neural"}
    say, gather, keys, connect = ElementTree.fromstring(document(verbs, speech))
    assert [say.attrib, gather[0].attrib, keys[0].attrib] == [said] * 3
    assert (gather.get("language"), keys.get("language")) == ("de-DE", None)
    relay = connect[0].attrib
    assert (relay["language"], relay["ttsProvider"], relay["voice"]) == ("de-DE", "Amazon", "Vicki-Neural")
    plain = ElementTree.fromstring(document(verbs))
    assert [say.attrib for say in plain.iter("Say")] == [{}] * 3
    assert not {"language", "voice", "ttsProvider"} & plain[-1][0].attrib.keys()


def test_every_verb_has_its_element() -> None:
    verbs = (
        Gather(
            action="/next?n=2&h=1",
            prompts=(Say("PIN?"),),
            digits=DtmfInputSpec(max_digits=4, termination_digit="", inter_digit_timeout_ms=2500),
        ),
        Dial(destination="+15550111", action="/dialed", timeout_seconds=30),
        Dial(destination="sip:desk@example.org;transport=tls", action="/dialed", timeout_seconds=9999),
        Redirect("/again?a=1&b=2"),
        Pause(2),
        HangUp(),
    )
    gather, number, sip, redirect, pause, hangup = ElementTree.fromstring(document(verbs))
    assert gather.attrib == {
        "input": "dtmf speech",
        "action": "/next?n=2&h=1",
        "method": "POST",
        "numDigits": "4",
        "finishOnKey": "",
        "timeout": "3",
        "speechTimeout": "auto",
        "actionOnEmptyResult": "true",
    }
    assert gather[0].text == "PIN?"
    assert number.attrib == {
        "action": "/dialed",
        "method": "POST",
        "answerOnBridge": "true",
        "timeout": "30",
    }
    assert [(child.tag, child.text) for child in number] == [("Number", "+15550111")]
    assert sip.get("timeout") == "600"
    assert [(child.tag, child.text) for child in sip] == [("Sip", "sip:desk@example.org;transport=tls")]
    assert redirect.text == "/again?a=1&b=2"
    assert pause.get("length") == "2"
    assert hangup.tag == "Hangup"


@pytest.mark.parametrize(
    ("spec", "key", "timeout"),
    [
        (None, "#", "5"),
        (DtmfInputSpec(), "#", "5"),
        (DtmfInputSpec(termination_digit="*"), "*", "5"),
        (DtmfInputSpec(termination_digit="A"), "", "5"),
        (DtmfInputSpec(inter_digit_timeout_ms=250), "#", "1"),
        (DtmfInputSpec(inter_digit_timeout_ms=60_000), "#", "60"),
    ],
)
def test_unset_is_not_the_same_as_none(spec: DtmfInputSpec | None, key: str, timeout: str) -> None:
    [gather] = ElementTree.fromstring(document((Gather(action="/x", digits=spec),)))
    assert (gather.get("finishOnKey"), gather.get("timeout")) == (key, timeout)


@pytest.mark.parametrize(
    "destination",
    ["", "5550111", "+1 555 0111", "sip:", "sip:a@b@c", "javascript:x", "+15550111\n", "tel:+1555"],
)
def test_what_cannot_be_dialled_is_not(destination: str) -> None:
    assert destination_kind(destination) is None
    with pytest.raises(ValueError, match="a number"):
        document((Dial(destination=destination, action="/x", timeout_seconds=30),))


@given(
    n=st.integers(0, 99_999),
    holds=st.integers(0, 99_999),
    max_digits=st.none() | st.integers(1, 64),
    key=st.none() | st.sampled_from(["", *"0123456789*#ABCD"]),
    timeout=st.none() | st.integers(250, 60_000),
    prefix=st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=50),
)
def test_a_step_comes_back_from_its_url(
    n: int, holds: int, max_digits: int | None, key: str | None, timeout: int | None, prefix: str | None
) -> None:
    spec = DtmfInputSpec(
        expects_input=True,
        max_digits=max_digits,
        termination_digit=key,
        inter_digit_timeout_ms=timeout,
        prefix=prefix,
    )
    empty = (max_digits, key, timeout, prefix) == (None, None, None, None)
    step = Step(n=n, holds=holds, silences=1, tries=2, digits=None if empty else spec, reason="no_answer")
    assert Step.parse(query_of(LINKS.input(step))) == step


def test_what_is_told_only_once_is_told_again_where_it_is_not_taken() -> None:
    step = Step(n=1, transfer="t-1", attempt=2)
    for link in (LINKS.room(step), LINKS.leg_status(step), LINKS.leg_detected(step)):
        again = parse_qsl(urlsplit(link).fragment)
        assert {("rc", "3"), ("rp", "all")} <= set(again)
        assert Step.parse(query_of(link)) == step


@given(st.dictionaries(st.sampled_from(["n", "s", "h", "k", "r", "dm", "df", "di", "dp"]), _any_text))
def test_any_query_is_a_step_or_a_value_error(query: dict[str, str]) -> None:
    try:
        step = Step.parse(query)
    except ValueError:
        return
    assert 0 <= step.n < 100_000
    assert step.digits is None or len(step.digits.prefix or "") <= MAX_PREFIX
    assert step.digits is None or step.digits.max_digits is None or 1 <= step.digits.max_digits <= 64


def test_a_reply_is_spoken_while_the_next_input_is_awaited() -> None:
    rendering = render_outcome(outcome("Hi & <welcome>"), LINKS, Step(n=3), TEXTS)
    [gather] = parsed(rendering)
    assert gather[0].text == "Hi & <welcome>"
    assert (gather.get("action") or "").startswith("https://gateway.test/webhooks/twilio/voice/input?")
    assert query_of(gather.get("action")) == {"n": "4"}
    assert not rendering.downgrades


def test_digits_are_collected_as_the_agent_asked() -> None:
    wanted = intent(
        "collect_dtmf", max_digits=6, termination_digit="A", prefix="PIN: ", inter_digit_timeout_ms=900
    )
    rendering = render_outcome(outcome("Your PIN?", intents=[wanted]), LINKS, Step(n=1), TEXTS)
    [gather] = parsed(rendering)
    assert gather.get("numDigits") == "6"
    assert query_of(gather.get("action")) == {"n": "2", "dm": "6", "df": "A", "di": "900", "dp": "PIN: "}
    assert {one.field for one in rendering.downgrades} == {"termination_digit", "inter_digit_timeout_ms"}
    told_not_to = render_outcome(
        outcome("No.", intents=[intent("collect_dtmf", expects_input=False, max_digits=6)]),
        LINKS,
        Step(n=1),
        TEXTS,
    )
    assert parsed(told_not_to)[0].get("numDigits") is None


def test_a_cold_transfer_announces_and_dials() -> None:
    wanted = intent("transfer", destination="+15550111", connecting_text="Connecting you.")
    said = outcome("Sure.", path=Path.HANDOFF, status=Status.WAITING_FOR_HUMAN, intents=[wanted])
    rendering = render_outcome(said, LINKS, Step(n=2), TEXTS)
    assert shape(rendering) == ["Say:Sure.", "Say:Connecting you.", "Dial", "Number:+15550111"]
    dial = parsed(rendering)[2]
    assert dial.get("timeout") == "30"
    assert urlsplit(dial.get("action") or "").path == "/webhooks/twilio/voice/dialed"
    assert query_of(dial.get("action")) == {"n": "2"}
    assert not rendering.downgrades


def test_a_warm_transfer_in_one_document_is_a_whisper_and_says_so() -> None:
    warm = WarmTransfer(max_dial_seconds=12).model_dump()
    wanted = intent("transfer", destination="sip:desk@example.org", mode="warm", warm=warm)
    rendering = render_outcome(outcome(intents=[wanted]), LINKS, Step(n=2), TEXTS)
    assert rendering.downgrades == (Downgrade("mode", "whisper"),)
    assert shape(rendering) == ["Dial", "Sip:sip:desk@example.org"]
    assert parsed(rendering)[0].get("timeout") == "12"
    assert (parsed(rendering)[0][0].get("url") or "").endswith("/webhooks/twilio/voice/whisper?n=2&a=1")


def test_a_transfer_to_nowhere_fails_the_usual_way() -> None:
    wanted = intent("transfer", destination="the boss", connecting_text="Connecting you.")
    rendering = render_outcome(outcome("Sure.", intents=[wanted]), LINKS, Step(n=2), TEXTS)
    say, redirect = parsed(rendering)
    assert say.text == "Sure."
    assert query_of(redirect.text) == {"n": "2", "r": "invalid_destination"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (outcome("Bye!", path=Path.CLOSED_BY_AGENT, status=Status.CLOSED), ["Say:Bye!", "Hangup"]),
        (outcome(status=Status.CLOSED), [f"Say:{TEXTS.goodbye}", "Hangup"]),
        (outcome("Bye!", intents=[intent("hang_up")]), ["Say:Bye!", "Hangup"]),
        (
            outcome(path=None, state=TurnState.FAILED, error=ErrorCode.AGENT_FAILED),
            ["Gather", f"Say:{TEXTS.apology}"],
        ),
        (outcome(path=None, state=TurnState.DEAD), ["Gather", f"Say:{TEXTS.apology}"]),
        (outcome(path=None, state=TurnState.SUPERSEDED), ["Gather", f"Say:{TEXTS.apology}"]),
        (outcome(path=Path.QUEUED, status=Status.WAITING_FOR_HUMAN), ["Gather", f"Say:{TEXTS.hold}"]),
        (
            outcome(path=None, state=TurnState.SUPERSEDED, status=Status.WAITING_FOR_HUMAN),
            ["Gather", f"Say:{TEXTS.hold}"],
        ),
        (
            outcome("A colleague will come.", path=Path.HANDOFF, status=Status.WAITING_FOR_HUMAN),
            ["Gather", "Say:A colleague will come.", f"Say:{TEXTS.hold}"],
        ),
        (
            outcome("I'm checking that.", path=Path.APPROVAL, status=Status.AWAITING_APPROVAL),
            ["Gather", "Say:I'm checking that."],
        ),
        (outcome("Yes.", intents=[intent("transfer", destination=7)]), ["Gather", "Say:Yes."]),
    ],
)
def test_every_outcome_leads_somewhere(given: TurnOutcome, expected: list[str]) -> None:
    assert shape(render_outcome(given, LINKS, Step(n=1), TEXTS)) == expected


def test_an_unreadable_intent_is_named() -> None:
    assert wishes_of([intent("transfer", destination=7), intent("collect_dtmf")]).invalid == ("transfer",)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ({"kind": "say", "payload": {"text": "Hi <b>"}}, ["Say:Hi <b>"]),
        ({"kind": "hang_up"}, ["Hangup"]),
        ({"kind": "cancel", "payload": {"intent_id": "x"}}, []),
        ({"kind": "collect_dtmf", "payload": {"max_digits": 999}}, ["Gather"]),
        ({"kind": "transfer", "payload": {"destination": "+15550111"}}, ["Dial", "Number:+15550111"]),
    ],
)
def test_the_command_shows_what_twilio_would_get(file: object, expected: list[str]) -> None:
    root = ElementTree.fromstring(render_file("twilio", json.dumps(file).encode()))
    assert [f"{e.tag}:{e.text}" if e.text else e.tag for e in root.iter()][1:] == expected
    gather = root.find("Gather")
    assert gather is None or gather.get("numDigits") == "64"


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (
            {"kind": "say", "payload": {"text": "Hi ", "final": False, "interruptible": False}},
            [{"type": "text", "token": "Hi ", "last": False, "interruptible": False}],
        ),
        ({"kind": "say", "payload": {"text": "Hi"}}, [{"type": "text", "token": "Hi", "last": True}]),
        ({"kind": "cancel", "payload": {"intent_id": "x"}}, []),
        ({"kind": "collect_dtmf", "payload": {"max_digits": 4}}, []),
        (
            {"kind": "transfer", "payload": {"destination": "+15550111", "connecting_text": "One moment."}},
            [
                {"type": "text", "token": "One moment.", "last": True, "interruptible": False},
                {"type": "end", "handoffData": '{"do":"transfer","n":1,"session":"session"}'},
            ],
        ),
        (
            {"kind": "hang_up"},
            [{"type": "end", "handoffData": '{"do":"hang_up","session":"session"}'}],
        ),
    ],
)
def test_the_command_shows_what_conversation_relay_would_get(file: object, expected: object) -> None:
    assert json.loads(render_file("relay", json.dumps(file).encode())) == expected


@pytest.mark.parametrize(
    ("host", "raw", "reason"),
    [
        ("relay", b'{"kind": "transfer", "payload": {}}', "destination"),
        ("jambonz", b'{"kind": "transfer", "payload": {"destination": "fax"}}', "E.164"),
        ("jambonz", b'{"kind": "transfer", "payload": {}}', "destination"),
        ("fax", b'{"kind": "hang_up"}', "the hosts are"),
        ("twilio", b"{", "not JSON"),
        ("twilio", b"\xff", "not JSON"),
        ("twilio", b"[" * 100_000, "not JSON"),
        ("twilio", b"[]", "intent"),
        ("twilio", b'{"kind": "sing"}', "kind"),
        ("twilio", b'{"kind": "transfer", "payload": {}}', "destination"),
        ("twilio", b" " * 1_100_000, "larger"),
    ],
)
def test_the_command_refuses_in_one_line(host: str, raw: bytes, reason: str) -> None:
    with pytest.raises(CannotRender, match=reason) as refused:
        render_file(host, raw)
    assert "\n" not in str(refused.value)
