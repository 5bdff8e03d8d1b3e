"""Phone calls in TwiML mode: the fake Twilio's callers against the webhooks, over real HTTP."""

import json
import logging
from collections.abc import AsyncIterator
from xml.etree import ElementTree

import pytest

from channels.twilio.fake import CallStatus
from channels.voice.routes import MAX_POLLS
from channels.voice.transferring import MAX_REPORTS
from gateway.domain.call_rules import CallPace, CallRules, CallTexts, Speech
from gateway.domain.conversation import Status
from gateway.domain.errors import Unavailable
from gateway.domain.intent import WarmTransfer
from gateway.domain.message import Channel, Role, SenderAuth
from gateway.domain.turn import Path, TurnOutcome, TurnState
from tests.integration.voice_line import SID, VOICE, Line, open_line
from tests.integration.webhooks import ACCOUNT, OURS, THEIRS
from tests.turns import outcome

TEXTS = CallTexts()


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    """A line into the gateway."""
    async with open_line() as opened:
        yield opened


def transfer(**payload: object) -> TurnOutcome:
    """An outcome that transfers the call."""
    filled = {"destination": "+15550111"} | payload
    intent: dict[str, object] = {"intent_id": "i-1", "kind": "transfer", "payload": filled}
    return outcome("Sure.", path=Path.HANDOFF, status=Status.WAITING_FOR_HUMAN, intents=[intent])


async def test_a_call_is_greeted_asked_and_answered(line: Line) -> None:
    call = await line.call()
    assert call.said == [TEXTS.greeting]
    assert call.listening == {"speech", "dtmf"}
    started = line.core.messages[f"{call.sid}:start"]
    assert (started.channel, started.sender, started.recipient) == (Channel.VOICE, THEIRS, OURS)
    assert (started.role, started.thread_key) == (Role.SYSTEM_EVENT, call.sid)
    assert line.event(f"{call.sid}:start")["kind"] == "call.started"
    await call.say("Is it <open> & free?")
    await call.say("Thanks")
    assert call.said[1:] == ["You said Is it <open> & free?.", "You said Thanks."]
    heard = [line.core.messages[f"{call.sid}:{n}"] for n in (1, 2)]
    assert [(m.text, m.role, m.thread_key) for m in heard] == [
        ("Is it <open> & free?", Role.USER, call.sid),
        ("Thanks", Role.USER, call.sid),
    ]
    assert "SpeechResult" not in heard[0].metadata["provider"]
    await call.hang_up()
    assert [(m.provider_message_id, m.thread_key) for m in line.core.ended] == [(f"{call.sid}:end", call.sid)]
    assert not call.error


async def test_a_call_is_held_in_the_language_of_its_number() -> None:
    rules = CallRules(speech=Speech(language="de-DE", voice="Polly.Vicki-Neural"))
    async with open_line(rules) as line:
        root = ElementTree.fromstring((await line.post("")).body)
    assert [(e.tag, e.get("language")) for e in root.iter()][1:] == [("Gather", "de-DE"), ("Say", "de-DE")]


async def test_an_unknown_number_is_404(line: Line) -> None:
    answer = await line.post("", To="+15550999")
    assert (answer.status, json.loads(answer.body)["error"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["", "/input?n=1", "/wait?n=1", "/dialed?n=1", "/status"])
async def test_every_webhook_checks_the_signature(line: Line, path: str) -> None:
    form = {"CallSid": SID, "AccountSid": ACCOUNT, "From": THEIRS, "To": OURS, "SpeechResult": "Hi"}
    for signature in ("", "bm9wZQ=="):
        answer = await line.site.post(VOICE + path, form, signature=signature)
        assert (answer.status, json.loads(answer.body)["error"]) == (403, "forbidden")
    assert not line.core.messages


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("", {"CallSid": ""}),
        ("", {"From": ""}),
        ("/input?n=-1", {}),
        ("/input?n=1&di=x", {}),
        ("/input?r=%00", {}),
    ],
)
async def test_a_webhook_that_is_not_ours_is_422(line: Line, path: str, changes: dict[str, str]) -> None:
    assert (await line.post(path, **({"SpeechResult": "Hi"} | changes))).status == 422


async def test_a_call_is_not_answered_before_it_is_stored(line: Line) -> None:
    line.core.failure = Unavailable("away")
    answer = await line.post("")
    assert answer.status == 503
    assert "retry-after" in answer.headers


async def test_a_repeated_webhook_is_one_message(line: Line) -> None:
    answers = [await line.post("/input?n=1", SpeechResult="Hi") for _ in range(3)]
    assert {answer.body for answer in answers} == {answers[0].body}
    assert list(line.core.messages) == [f"{SID}:1"]


@pytest.mark.parametrize(
    ("sender", "canonical", "auth"),
    [
        ("+266696687", "anonymous", SenderAuth.UNVERIFIED),
        ("Restricted", "anonymous", SenderAuth.UNVERIFIED),
        ("sip:bob@example.org", "sip:bob@example.org", SenderAuth.UNVERIFIED),
        ("client:bob", "client:bob", SenderAuth.UNVERIFIED),
        (THEIRS, THEIRS, SenderAuth.VERIFIED),
    ],
)
async def test_only_a_shown_number_is_somebody(
    line: Line, sender: str, canonical: str, auth: SenderAuth
) -> None:
    await line.post("", From=sender)
    [message] = line.core.messages.values()
    assert message.sender == (f"anonymous:{SID}" if canonical == "anonymous" else canonical)
    assert message.sender_auth is auth


async def test_digits_are_collected_and_prefixed(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    pin = "471108159263"  # so long that no id and no time holds it by chance
    spec = {"max_digits": 12, "prefix": "PIN: ", "termination_digit": "*", "inter_digit_timeout_ms": 1500}
    line.core.answers["my account"] = outcome(
        "Your PIN?", intents=[{"kind": "collect_dtmf", "payload": spec}]
    )
    call = await line.call()
    await call.say("my account")
    await call.silence()
    assert call.said[-2:] == ["Your PIN?", TEXTS.reminder]
    with caplog.at_level(logging.DEBUG):
        await call.press(f"{pin}*")
    assert line.core.messages[f"{call.sid}:2"].text == f"PIN: {pin}"
    assert pin not in json.dumps(line.core.messages[f"{call.sid}:2"].metadata)
    mine = [r for r in caplog.records if not r.name.startswith(("asyncio", "aiohttp"))]
    assert not any(pin in str(vars(record)) for record in mine)
    await call.press("99")
    assert line.core.messages[f"{call.sid}:3"].text == "99"


async def test_keys_come_before_speech(line: Line) -> None:
    await line.post("/input?n=1", Digits="5", SpeechResult="five")
    assert line.core.messages[f"{SID}:1"].text == "5"


async def test_silence_is_reminded_twice_then_the_call_ends(line: Line) -> None:
    call = await line.call()
    await call.silence()
    await call.silence()
    assert not call.ended
    await call.silence()
    assert call.said == [TEXTS.greeting, TEXTS.reminder, TEXTS.reminder, TEXTS.goodbye]
    assert call.status is CallStatus.COMPLETED
    assert {m.provider_message_id for m in line.core.ended} == {f"{call.sid}:end"}
    assert line.core.asked == 0


async def test_how_often_silence_is_reminded_is_configured() -> None:
    never = CallRules(pace=CallPace(max_reminders=0))
    async with open_line(never) as line:
        call = await line.call()
        await call.silence()
        assert call.said == [TEXTS.greeting, TEXTS.goodbye]


async def test_speech_ends_a_row_of_silences(line: Line) -> None:
    call = await line.call()
    await call.silence()
    await call.silence()
    await call.say("Hi")
    await call.silence()
    assert call.said[-1] == TEXTS.reminder
    assert not call.ended


async def test_a_slow_turn_is_waited_for_behind_a_filler(line: Line) -> None:
    line.core.answers["think"] = None
    answer = await line.post("/input?n=1", SpeechResult="think")
    say, redirect = ElementTree.fromstring(answer.body)
    assert say.text == TEXTS.filler
    pause, again = ElementTree.fromstring((await line.post((redirect.text or "").split(VOICE)[1])).body)
    assert (pause.tag, again.tag) == ("Pause", "Redirect")
    line.core.answers["think"] = outcome("Done.")
    [gather] = ElementTree.fromstring((await line.post((again.text or "").split(VOICE)[1])).body)
    assert gather[0].text == "Done."
    assert (gather.get("action") or "").endswith("/input?n=2")
    assert line.core.asked == 1


async def test_a_turn_that_never_ends_is_given_up(line: Line) -> None:
    line.core.answers["think"] = None
    call = await line.call()
    await call.say("think")
    assert call.said == [TEXTS.greeting, TEXTS.filler, TEXTS.apology]
    assert call.paused_seconds == MAX_POLLS - 1
    await call.say("again")
    assert line.core.messages[f"{call.sid}:2"].text == "again"


@pytest.mark.parametrize("lost_at", ["ask", "wait"])
async def test_an_outage_in_a_call_is_an_apology(
    line: Line, caplog: pytest.LogCaptureFixture, lost_at: str
) -> None:
    line.core.failure = Unavailable("the database does not answer")
    path = "/input?n=3" if lost_at == "ask" else "/wait?n=3&k=1"
    answer = await line.post(path, SpeechResult="secret words")
    [gather] = ElementTree.fromstring(answer.body)
    assert gather[0].text == TEXTS.apology
    assert (gather.get("action") or "").endswith("/input?n=4")
    [record] = [r for r in caplog.records if r.name == "channels.voice.notes"]
    assert vars(record)["action"] == "voice.input_failed"
    assert "secret" not in str(vars(record))


async def test_a_transfer_that_is_answered_ends_the_conversation(line: Line) -> None:
    line.core.answers["a person"] = transfer(connecting_text="Connecting you.")
    call = await line.call()
    await call.say("a person")
    assert call.said[-2:] == ["Sure.", "Connecting you."]
    assert call.dialed == ["+15550111"]
    await call.dial_ended("completed")
    assert call.ended
    first, last = line.core.ended
    assert first.metadata["voice_event"] == {
        "kind": "intent.outcome",
        "intent_id": "i-1",
        "call_id": call.sid,
        "attempt": 1,
        "destination_index": 0,
        "state": "transferred",
        "reason": None,
        "method_used": "bridge",
    }
    assert last.metadata["voice_event"]["kind"] == "call.ended"


@pytest.mark.parametrize(
    ("status", "reason"),
    [("no-answer", "no_answer"), ("busy", "busy"), ("failed", "bridge_error"), ("odd", "bridge_error")],
)
async def test_a_transfer_that_reaches_nobody_returns_to_the_agent(
    line: Line, status: str, reason: str
) -> None:
    line.core.answers["a person"] = transfer()
    call = await line.call()
    await call.say("a person")
    await call.dial_ended(status)
    assert call.said[-1].startswith("I'm sorry, I wasn't able to connect you")
    event = line.event(f"{call.sid}:1:dialed")
    assert (event["state"], event["reason"], event["intent_id"]) == ("failed", reason, "i-1")
    await call.say("Never mind")
    assert line.core.messages[f"{call.sid}:2"].text == "Never mind"
    assert not line.core.ended


async def test_a_warm_transfer_without_an_account_is_a_whisper_and_says_so(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    warm = {"failure_text": "Nobody is in."}
    line.core.answers["a person"] = transfer(mode="warm", warm=warm, on_failure="hangup")
    call = await line.call()
    await call.say("a person")
    notes = [vars(r) for r in caplog.records if r.name == "channels.voice.notes"]
    assert [(n["action"], n["field"]) for n in notes] == [("voice.capability_downgrade", "mode")]
    assert line.event(f"{call.sid}:1:downgrade:mode")["substitute"] == "whisper"
    await call.dial_ended("no-answer")
    assert call.said[-1] == WarmTransfer().retry_announcement_text
    await call.dial_ended("no-answer")
    assert call.said[-1] == "Nobody is in."
    assert call.ended


async def test_a_transfer_to_nowhere_returns_to_the_agent(line: Line) -> None:
    line.core.answers["a person"] = transfer(destination="the boss")
    call = await line.call()
    await call.say("a person")
    assert not call.dialed
    assert line.event(f"{call.sid}:1:dialed")["reason"] == "invalid_destination"
    assert call.listening


async def test_a_failed_transfer_is_reported_once_the_core_is_back(line: Line) -> None:
    line.core.failure = Unavailable("away")
    answer = await line.post("/dialed?n=1", DialCallStatus="busy")
    pause, redirect = ElementTree.fromstring(answer.body)
    assert pause.tag == "Pause"
    line.core.failure = None
    answer = await line.post((redirect.text or "").split(VOICE)[1])
    assert ElementTree.fromstring(answer.body)[0].tag == "Gather"
    assert line.event(f"{SID}:1:dialed")["reason"] == "busy"
    line.core.failure = Unavailable("away")
    answer = await line.post(f"/dialed?n=2&k={MAX_REPORTS}", DialCallStatus="busy")
    assert [e.tag for e in ElementTree.fromstring(answer.body)] == ["Say", "Hangup"]


async def test_the_agent_ends_the_call(line: Line) -> None:
    line.core.answers["bye"] = outcome("Bye!", path=Path.CLOSED_BY_AGENT, status=Status.CLOSED)
    call = await line.call()
    await call.say("bye")
    assert call.said[-1] == "Bye!"
    assert call.ended


async def test_a_failed_turn_is_an_apology(line: Line) -> None:
    line.core.answers["crash"] = outcome(path=None, state=TurnState.FAILED)
    call = await line.call()
    await call.say("crash")
    assert call.said[-1] == TEXTS.apology
    assert call.listening


@pytest.mark.parametrize("status", ["ringing", "in-progress", ""])
async def test_progress_ends_nothing(line: Line, status: str) -> None:
    answer = await line.post("/status", CallStatus=status)
    assert answer.status == 200
    assert not line.core.ended


async def test_the_end_is_retried_while_the_core_is_away(line: Line) -> None:
    line.core.failure = Unavailable("away")
    assert (await line.post("/status", CallStatus="completed")).status == 503
    line.core.failure = None
    assert (await line.post("/status", CallStatus="completed")).status == 200
    [ended] = line.core.ended
    assert ended.metadata["voice_event"] == {"kind": "call.ended", "call_id": SID, "reason": "completed"}
