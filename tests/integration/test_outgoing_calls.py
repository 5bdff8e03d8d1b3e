"""Calls that begin by API: the whole gateway in this process, and the fake Twilio's phones."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from channels.twilio.fake import CallStatus, FakeCall, Faults, Phone
from gateway.domain.call_rules import CallTexts
from tests.integration.twilio_house import V2, TwilioHouse, at_twilio
from tests.waiting import PATIENCE

RELAYED, DOCUMENTS, HOSTED = "+15550100", "+15550101", "+15550102"
THEIRS = "+14155550123"
TEXTS = CallTexts()
CONFIG = f"""
[organisation]
name = "Here"
default_agent = "demo"

[channels.voice]
filler_after_seconds = 30
reminder_after_seconds = 300

[[addresses]]
channel = "voice"
address = "{RELAYED}"
voice_mode = "relay"

[[addresses]]
channel = "voice"
address = "{DOCUMENTS}"
voice_mode = "webhook"

[[addresses]]
channel = "voice"
address = "{HOSTED}"
voice_mode = "host"

[agents.demo]
kind = "demo"

[agents.other]
kind = "demo"
"""


class House(TwilioHouse):
    """Where calls begin."""

    async def post(
        self, body: object, *, key: str = "root", path: str = "/v1/voice/calls", **headers: str
    ) -> tuple[int, Any]:
        """One request for a call."""
        sent = {"x-api-key": key, **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self.http.post(self.app.http_url + path, json=body, headers=sent) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str) -> Any:
        """What the API answers."""
        async with self.http.get(self.app.http_url + path, headers={"x-api-key": "root"}) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def call(self, **body: object) -> str:
        """The id of a new call's conversation."""
        status, answer = await self.post({"to": THEIRS, **body})
        assert status == 201, answer
        assert (answer["status"], answer["channel"], answer["origin"]) == ("queued", "voice", "outbound")
        return str(answer["id"])

    async def until(self, conversation_id: str, wanted: str | Callable[[Any], bool]) -> Any:
        """The conversation, once it has this status or is like this."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await self.get(f"{V2}/{conversation_id}")
                if found["status"] == wanted if isinstance(wanted, str) else wanted(found):
                    return found
                await asyncio.sleep(0.02)

    async def phone(self, condition: Callable[[FakeCall], bool], n: int = 0) -> FakeCall:
        """The call at the provider, once something holds."""
        async with asyncio.timeout(PATIENCE):
            while len(self.fake.calls) <= n:  # noqa: ASYNC110 - calls are begun in the background
                await asyncio.sleep(0.02)
        await self.fake.calls[n].wait_for(condition, PATIENCE)
        return self.fake.calls[n]


@asynccontextmanager
async def open_house(
    folder: Path, more: str = "", *, account: bool = True, environment: Mapping[str, str] | None = None
) -> AsyncIterator[House]:
    """A gateway of one process; `more` is added to the keys of all calls."""
    config = CONFIG.replace("[channels.voice]\n", f"[channels.voice]\n{more}\n")
    keys = {"GATEWAY_API_KEYS": "root:admin,app:client,other:client:There"}
    environ = {**keys, "GATEWAY_DRAIN_SECONDS": "1", **(environment or {})}
    async with at_twilio(House, folder, config, account=account, **environ) as house:
        yield house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A gateway as it is by default."""
    async with open_house(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("ours", [RELAYED, DOCUMENTS])
async def test_somebody_is_called_and_spoken_with(house: House, ours: str) -> None:
    house.fake.phone(THEIRS, Phone(rings=True))
    said = "Hello Ada, your order is ready."
    call_id = await house.call(**{"from": ours, "first_message": said, "metadata": {"order": 7}})
    await house.until(call_id, "ringing")
    phone = await house.phone(lambda one: one.status is CallStatus.RINGING)
    assert (phone.parties.from_, phone.parties.to) == (ours, THEIRS)
    phone.pick_up()
    await house.until(call_id, "active")
    await phone.wait_for(lambda one: said in one.said, PATIENCE)
    if ours == RELAYED:
        await phone.wait_for(lambda one: one.relay is not None and one.relay.open, PATIENCE)
        assert phone.relay is not None
        await phone.relay.say("thank you")
    else:
        await phone.say("thank you")
    await phone.wait_for(lambda one: len(one.said) == 2, PATIENCE)
    await phone.hang_up()
    closed = await house.until(call_id, "closed")
    assert closed["metadata"] == {"order": 7}
    assert closed["duration_ms"] is not None
    assert [role for role, _ in await house.transcript(call_id)] == [
        "system_event",
        "assistant",
        "user",
        "assistant",
        "system_event",
    ]
    assert (await house.transcript(call_id))[:2] == [("system_event", "Call started."), ("assistant", said)]
    assert len(house.fake.calls) == 1


@pytest.mark.parametrize(("ends", "reason"), [(CallStatus.BUSY, "busy"), (CallStatus.NO_ANSWER, "no_answer")])
async def test_a_call_that_nobody_answers_is_an_error(house: House, ends: CallStatus, reason: str) -> None:
    house.fake.phone(THEIRS, Phone(ends=ends))
    call_id = await house.call()
    await house.until(call_id, "error")
    assert await house.transcript(call_id) == [("system_event", f"Call failed: {reason}.")]


async def test_a_ringing_call_is_closed(house: House) -> None:
    house.fake.phone(THEIRS, Phone(rings=True))
    call_id = await house.call()
    await house.until(call_id, "ringing")
    status, _ = await house.post({}, path=f"{V2}/{call_id}/close")
    assert status == 200
    phone = await house.phone(lambda one: one.ended)
    assert phone.said == []


async def test_a_repeated_request_calls_once(house: House) -> None:
    body = {"to": THEIRS}
    first = await house.post(body, Idempotency_Key="k-1")
    again = await house.post(body, Idempotency_Key="k-1")
    assert first == again
    assert first[0] == 201
    conflict = await house.post({"to": "+14155550124"}, Idempotency_Key="k-1")
    assert (conflict[0], conflict[1]["error"]) == (409, "idempotency_conflict")
    await house.phone(lambda one: one.status is CallStatus.IN_PROGRESS)
    assert len(house.fake.calls) == 1


async def test_the_answer_was_lost_and_nobody_is_called_twice(house: House) -> None:
    house.fake.faults = Faults(drop_after_accept=1)
    call_id = await house.call()
    await house.until(call_id, "active")
    assert len(house.fake.calls) == 1


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "validation_error"),
        ({"to": THEIRS, "end_user_id": "550e8400-e29b-41d4-a716-446655440000"}, "validation_error"),
        ({"to": THEIRS, "assistant_id": "demo", "agent": "other"}, "validation_error"),
        ({"to": "reception"}, "invalid_identifier"),
        ({"to": THEIRS, "from": "+15559999"}, "no_address"),
        ({"to": THEIRS, "from": HOSTED}, "no_address"),
        ({"to": THEIRS, "first_message": "x" * 1601}, "validation_error"),
    ],
)
async def test_what_cannot_be_called_is_said(house: House, body: object, error: str) -> None:
    status, answer = await house.post(body)
    assert (status, answer["error"]) == (422, error)
    if isinstance(body, dict) and body.get("from") == HOSTED:
        assert "host" in answer["message"]


async def test_whoever_may_not_call_does_not(house: House) -> None:
    for key, status, error in (("", 401, "unauthorized"), ("other", 422, "no_default_agent")):
        refused, answer = await house.post({"to": THEIRS}, key=key)
        assert (refused, answer["error"]) == (status, error)
    status, answer = await house.post({"to": THEIRS, "agent": "nobody"}, key="app")
    assert (status, answer["error"]) == (404, "agent_not_found")
    status, answer = await house.post({"end_user_id": "550e8400-e29b-41d4-a716-446655440000"})
    assert (status, answer["error"]) == (404, "end_user_not_found")


async def test_calls_are_made_over_rabbitmq_and_postgresql(
    tmp_path: Path, rabbit_url: str, amqp_prefix: str, postgres_url: str
) -> None:
    services = {
        "GATEWAY_AMQP_URL": rabbit_url,
        "GATEWAY_AMQP_PREFIX": amqp_prefix,
        "GATEWAY_DATABASE_URL": postgres_url,
    }
    async with open_house(tmp_path, 'on_machine = "hang_up"', environment=services) as house:
        call_id = await house.call(**{"from": DOCUMENTS})
        phone = await house.phone(lambda one: one.said == [TEXTS.greeting])
        await house.until(call_id, lambda found: found["metadata"] == {"answered_by": "human"})
        await phone.hang_up()
        await house.until(call_id, "closed")
        assert len(house.fake.calls) == 1


async def test_without_an_account_nobody_can_be_called(tmp_path: Path) -> None:
    async with open_house(tmp_path, account=False) as house:
        call_id = await house.call()
        await house.until(call_id, "error")
        assert await house.transcript(call_id) == [("system_event", "Call failed: no_provider.")]


@pytest.mark.parametrize("ours", [RELAYED, DOCUMENTS])
async def test_a_machine_is_hung_up_on(tmp_path: Path, ours: str) -> None:
    async with open_house(tmp_path, 'on_machine = "hang_up"') as house:
        house.fake.phone(THEIRS, Phone(answered_by="machine_start"))
        call_id = await house.call(**{"from": ours})
        closed = await house.until(call_id, "closed")
        assert closed["metadata"] == {"answered_by": "machine"}
        await house.phone(lambda one: one.ended)
        assert ("system_event", "Answered by: machine.") in await house.transcript(call_id)


async def test_a_machine_is_left_a_message(tmp_path: Path) -> None:
    async with open_house(
        tmp_path, 'on_machine = "leave_message"\nmachine_text = "Please call us."'
    ) as house:
        house.fake.phone(THEIRS, Phone(answered_by="machine_end_beep"))
        call_id = await house.call(**{"from": DOCUMENTS})
        phone = await house.phone(lambda one: one.ended)
        assert phone.said[-1] == "Please call us."
        await house.until(call_id, "closed")
        assert ("assistant", "Please call us.") in await house.transcript(call_id)


async def test_a_person_is_greeted_while_the_machine_detection_listens(tmp_path: Path) -> None:
    async with open_house(tmp_path, 'on_machine = "hang_up"') as house:
        house.fake.phone(THEIRS, Phone(answered_by="human"))
        call_id = await house.call(**{"from": DOCUMENTS})
        await house.until(call_id, "active")
        phone = await house.phone(lambda one: one.said == [TEXTS.greeting])
        known = await house.until(call_id, lambda found: bool(found["metadata"]))
        assert known["metadata"] == {"answered_by": "human"}
        assert not phone.ended


@pytest.mark.parametrize("ours", [RELAYED, DOCUMENTS])
async def test_a_call_is_recorded(tmp_path: Path, ours: str) -> None:
    async with open_house(tmp_path, "record_calls = true") as house:
        call_id = await house.call(**{"from": ours})
        phone = await house.phone(lambda one: one.said == [TEXTS.greeting])
        await phone.hang_up()
        await house.until(call_id, "closed")
        found = await house.until(call_id, lambda found: bool(found["has_recording"]))
        assert found["recording_url"].startswith("https://api.twilio.com/")
        assert (await house.transcript(call_id))[-1] == ("system_event", "The call was recorded.")


@pytest.mark.parametrize("ours", [RELAYED, DOCUMENTS])
async def test_whoever_rings_back_goes_on_with_the_conversation(tmp_path: Path, ours: str) -> None:
    async with open_house(tmp_path, 'ring_back = "30m"') as house:
        first = await house.fake.call(THEIRS, ours)
        assert first.said == [TEXTS.greeting]
        await first.hang_up()
        [conversation] = (await house.get(f"{V2}?channel=voice"))["items"]
        assert conversation["status"] == "active"
        second = await house.fake.call(THEIRS, ours)
        assert second.said == [TEXTS.welcome_back]
        if ours == DOCUMENTS:
            await second.say("me again")
        else:
            await second.wait_for(lambda one: one.relay is not None and one.relay.open, PATIENCE)
            assert second.relay is not None
            await second.relay.say("me again")
        await second.wait_for(lambda one: len(one.said) == 2, PATIENCE)
        await second.hang_up()
        [conversation] = (await house.get(f"{V2}?channel=voice"))["items"]
        assert [text for role, text in await house.transcript(conversation["id"]) if role == "user"] == [
            "me again"
        ]
        other = await house.fake.call("anonymous", ours)
        assert other.said == [TEXTS.greeting]
        assert len((await house.get(f"{V2}?channel=voice"))["items"]) == 2


async def test_anonymous_callers_are_nobody_twice(house: House) -> None:
    for _ in range(2):
        call = await house.fake.call("anonymous", DOCUMENTS)
        await call.hang_up()
    people = {one["end_user_id"] for one in (await house.get(f"{V2}?channel=voice"))["items"]}
    assert len(people) == 2
