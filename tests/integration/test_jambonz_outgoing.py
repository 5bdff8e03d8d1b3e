"""Calls that begin by API over jambonz: the whole gateway in this process, and the fake jambonz's API."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from pydantic import SecretStr

from channels.voice.jambonz.account import JambonzAccount
from channels.voice.jambonz.caller import JambonzCaller
from channels.voice.jambonz.fake import FakeJambonz, FakeJambonzApi, FakeOutgoingCall, Fault
from gateway.app import App
from gateway.bench.private_server import free_ports
from gateway.commands.findings import Verdict
from gateway.commands.voice_checks import check_jambonz
from gateway.domain.call_rules import CallRules
from gateway.domain.delivery import Failure, OutcomeUnknown, Refused, Taken
from gateway.domain.ids import new_id
from gateway.domain.outgoing_call import CallState, Command, Found, OutgoingCall
from tests.integration.in_process import in_process
from tests.integration.jambonz_house import AUTHORIZED, LOGIN, TEXTS, V2
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

OURS, ASIDE, HUNG_UP, LEFT, THEIRS = "+15550100", "+15550101", "+15550102", "+15550103", "+14155550123"
ACCOUNT, APPLICATION, KEY = "account-1", "application-1", "an-api-key"
MESSAGE = "Please call us."
ADDRESS = """
[[addresses]]
channel = "voice"
address = "{address}"
voice_mode = "jambonz"
{more}
"""
CONFIG = (
    """
[organisation]
name = "Here"
default_agent = "caller"

[channels.voice]
filler_after_seconds = 30
reminder_after_seconds = 300

[agents.caller]
kind = "python"
target = "tests.integration.relay_agents:answer"
"""
    + ADDRESS.format(address=OURS, more="ring_seconds = 25")
    + ADDRESS.format(address=HUNG_UP, more='on_machine = "hang_up"')
    + ADDRESS.format(address=LEFT, more=f'on_machine = "leave_message"\nmachine_text = "{MESSAGE}"')
)


@dataclass
class House:
    """The gateway and the jambonz beside it."""

    app: App
    jambonz: FakeJambonz
    api: FakeJambonzApi
    http: aiohttp.ClientSession

    async def request(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """What the API answers."""
        headers = {"x-api-key": "root"}
        async with self.http.request(method, self.app.http_url + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def begin(self, **body: object) -> str:
        """The id of a new call's conversation."""
        status, answer = await self.request("POST", "/v1/voice/calls", {"from": OURS, "to": THEIRS, **body})
        assert status == 201, answer
        return str(answer["id"])

    async def call(self, **body: object) -> tuple[str, FakeOutgoingCall]:
        """A new call's conversation, and the call, which rings."""
        before = len(self.jambonz.outgoing)
        call_id = await self.begin(**body)
        await until(lambda: len(self.jambonz.outgoing) > before)
        await self.becomes(call_id, "ringing")
        return call_id, self.jambonz.outgoing[before]

    async def becomes(self, call_id: str, wanted: str | Callable[[Any], bool]) -> Any:
        """The conversation, once it has this status or is like this."""
        async with asyncio.timeout(PATIENCE):
            while True:
                _, found = await self.request("GET", f"{V2}/{call_id}")
                if found["status"] == wanted if isinstance(wanted, str) else wanted(found):
                    return found
                await asyncio.sleep(0.02)

    async def transcript(self, call_id: str) -> list[tuple[str, str]]:
        """Roles and words."""
        _, found = await self.request("GET", f"{V2}/{call_id}/turns?limit=100")
        return [(row["role"], row["content"]) for row in found["turns"]]


@asynccontextmanager
async def open_house(folder: Path, *, account: bool = True) -> AsyncIterator[House]:
    """A gateway of one process."""
    (port,) = free_ports(1)
    jambonz = FakeJambonz(f"http://127.0.0.1:{port}", LOGIN)
    api = FakeJambonzApi(jambonz, ACCOUNT, APPLICATION, KEY)
    environ = {"JAMBONZ_WEBHOOK_LOGIN": LOGIN, "GATEWAY_API_KEYS": "root:admin", "GATEWAY_DRAIN_SECONDS": "2"}
    if account:
        environ |= {
            "JAMBONZ_API_URL": await api.start(),
            "JAMBONZ_API_KEY": KEY,
            "JAMBONZ_ACCOUNT_SID": ACCOUNT,
            "JAMBONZ_APPLICATION_SID": APPLICATION,
        }
    gateway = in_process(folder, CONFIG, environ, port=port)
    try:
        async with gateway as app, aiohttp.ClientSession() as http:
            yield House(app, jambonz, api, http)
            await jambonz.stop()
    finally:
        await api.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A gateway for all tests here."""
    async with open_house(tmp_path_factory.mktemp("house")) as opened:
        yield opened


async def test_somebody_is_called_and_spoken_with(house: House) -> None:
    said = "Hello Ada, your order is ready."
    call_id, phone = await house.call(first_message=said, metadata={"order": 7})
    asked = house.api.asked[-1]
    assert (asked["from"], asked["to"]) == (OURS, {"type": "phone", "number": THEIRS})
    assert (asked["timeout"], asked["tag"], "amd" in asked) == (25, {"conversation_id": call_id}, False)
    await phone.pick_up()
    await house.becomes(call_id, "active")
    await until(lambda: said in phone.said and phone.listener is not None)
    await phone.say("thank you")
    await until(lambda: "You said thank you." in phone.said)
    await phone.hang_up()
    closed = await house.becomes(call_id, "closed")
    assert closed["metadata"] == {"order": 7}
    assert closed["duration_ms"] is not None
    assert await house.transcript(call_id) == [
        ("system_event", "Call started."),
        ("assistant", said),
        ("user", "thank you"),
        ("assistant", "You said thank you."),
        ("system_event", "Call ended."),
    ]
    assert len([one for one in house.api.asked if one["tag"] == {"conversation_id": call_id}]) == 1


async def test_a_call_goes_on_after_its_connection_breaks(house: House) -> None:
    call_id, phone = await house.call()
    await phone.pick_up()
    await until(lambda: phone.said == [TEXTS.greeting] and phone.listener is not None)
    await phone.drop()
    await until(lambda: phone.wire.reconnected == 1 and phone.said[-1] == TEXTS.apology)
    await until(lambda: phone.listener is not None)
    await phone.say("bye")
    await house.becomes(call_id, "closed")
    await until(lambda: phone.ended)


async def test_a_connection_may_break_while_it_rings(house: House) -> None:
    call_id, phone = await house.call()
    await phone.drop()
    await until(lambda: phone.wire.reconnected == 1)
    await phone.pick_up()
    await until(lambda: phone.said == [TEXTS.greeting])
    await phone.hang_up()
    await house.becomes(call_id, "closed")


@pytest.mark.parametrize(("status", "reason"), [("busy", "busy"), ("no-answer", "no_answer")])
async def test_a_call_that_nobody_answers_is_an_error(house: House, status: str, reason: str) -> None:
    call_id, phone = await house.call()
    await phone.refuse(status)
    await house.becomes(call_id, "error")
    assert await house.transcript(call_id) == [("system_event", f"Call failed: {reason}.")]


async def test_how_a_call_gets_on_may_come_by_webhook(house: House) -> None:
    call_id, phone = await house.call()
    url = f"{house.app.http_url}/webhooks/jambonz/status"
    told = phone.info | {"call_status": "busy"}
    async with house.http.post(url, json=told, headers=AUTHORIZED) as answer:
        assert answer.status == 200
    await house.becomes(call_id, "error")
    await phone.refuse()


@pytest.mark.parametrize("answered", [True, False])
async def test_closing_a_conversation_hangs_up(house: House, answered: bool) -> None:
    call_id, phone = await house.call()
    if answered:
        await phone.pick_up()
        await house.becomes(call_id, "active")
    status, _ = await house.request("POST", f"{V2}/{call_id}/close", {})
    assert status == 200
    await until(lambda: phone.ended)
    assert phone.status == ("completed" if answered else "no-answer")


async def test_the_answer_was_lost_and_nobody_is_called_twice(house: House) -> None:
    house.api.faults.append(Fault.LOST)
    call_id, phone = await house.call()
    await phone.pick_up()
    await house.becomes(call_id, "active")
    await phone.hang_up()
    await house.becomes(call_id, "closed")
    assert len([one for one in house.api.asked if one["tag"] == {"conversation_id": call_id}]) == 1


async def test_a_second_call_for_the_same_wish_is_let_go(house: House) -> None:
    call_id, phone = await house.call()
    await phone.pick_up()
    await house.becomes(call_id, "active")
    second = await house.jambonz.dial(house.api.asked[-1])
    await second.pick_up()
    await until(lambda: second.ended)
    assert second.said == []
    assert not phone.ended
    await phone.hang_up()
    await house.becomes(call_id, "closed")


async def test_a_refused_request_says_why(house: House) -> None:
    house.api.faults.append(Fault.REFUSED)
    call_id = await house.begin()
    await house.becomes(call_id, "error")
    assert await house.transcript(call_id) == [("system_event", "Call failed: http_401.")]


async def test_a_machine_is_hung_up_on(house: House) -> None:
    call_id, phone = await house.call(**{"from": HUNG_UP})
    await phone.pick_up()
    await phone.screened("amd_machine_detected")
    closed = await house.becomes(call_id, "closed")
    assert closed["metadata"] == {"answered_by": "machine"}
    await until(lambda: phone.ended)


async def test_a_machine_is_left_a_message_once_it_listens(house: House) -> None:
    call_id, phone = await house.call(**{"from": LEFT})
    await phone.pick_up()
    await phone.screened("amd_machine_detected")
    await phone.screened("amd_machine_stopped_speaking")
    await until(lambda: phone.ended)
    assert phone.said[-1] == MESSAGE
    await house.becomes(call_id, "closed")
    assert ("assistant", MESSAGE) in await house.transcript(call_id)


async def test_a_person_is_spoken_with(house: House) -> None:
    call_id, phone = await house.call(**{"from": HUNG_UP})
    await phone.pick_up()
    await phone.screened("amd_human_detected")
    await phone.screened("amd_machine_stopped_speaking")
    await house.becomes(call_id, lambda found: found["metadata"] == {"answered_by": "human"})
    await until(lambda: phone.listener is not None)
    await phone.say("hello")
    await until(lambda: "You said hello." in phone.said)
    await phone.hang_up()


WISH = OutgoingCall(
    conversation_id=new_id(),
    organization_id=new_id(),
    ours=OURS,
    theirs="+14155550199",
    state=CallState.DIALING,
    attempt=1,
    claimed_at=0,
)


class Bound:
    """Which calls are another conversation's."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    async def __call__(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that are."""
        return self.ids & set(ids)


async def test_a_call_that_left_no_trace_here_is_looked_for_there(house: House) -> None:
    bound = Bound()
    account = JambonzAccount(
        api_url=house.api.url, account_sid=ACCOUNT, application_sid=APPLICATION, api_key=KEY
    )
    caller = JambonzCaller(account, rules_of=lambda _number: CallRules(), bound=bound)
    wish = WISH
    try:
        house.api.faults += [Fault.NO_SERVER, Fault.LOST_UNMADE, Fault.LOST]
        assert await caller.dial(wish, 10) == Refused(Failure.TRANSIENT, "http_480")
        assert isinstance(await caller.dial(wish, 10), OutcomeUnknown)
        assert await caller.find(wish) is None
        assert isinstance(await caller.dial(wish, 10), OutcomeUnknown)
        found = await caller.find(wish)
        phone = house.jambonz.outgoing[-1]
        assert found == Found(phone.call_sid, CallState.RINGING, "ringing")
        assert await caller.look(phone.call_sid) == found
        bound.ids.add(phone.call_sid)
        assert await caller.find(wish) is None
        bound.ids.clear()
        await phone.refuse()
        assert await caller.find(wish) == Found(phone.call_sid, CallState.BUSY, "busy")
        over = replace(wish, call_id=phone.call_sid)
        assert await caller.tell(over, Command.HANG_UP, 10) == Taken(phone.call_sid)
        gone = replace(wish, call_id="forgotten")
        assert await caller.look("forgotten") is None
        assert await caller.tell(gone, Command.HANG_UP, 10) == Taken("forgotten")
        assert await caller.tell(gone, Command.LEAVE_MESSAGE, 10) == Taken("forgotten")
    finally:
        await caller.close()


async def test_an_api_that_is_away_is_asked_again() -> None:
    (port,) = free_ports(1)
    account = JambonzAccount(
        api_url=f"http://127.0.0.1:{port}", account_sid=ACCOUNT, application_sid=APPLICATION, api_key=KEY
    )
    caller = JambonzCaller(account, rules_of=lambda _number: CallRules(), bound=Bound())
    try:
        assert await caller.dial(WISH, 10) == Refused(Failure.TRANSIENT, "not_sent")
        assert isinstance(await caller.find(WISH), OutcomeUnknown)
        assert isinstance(await caller.look("any"), OutcomeUnknown)
        assert await caller.tell(replace(WISH, call_id="any"), Command.HANG_UP, 10) == OutcomeUnknown(
            "no_answer"
        )
    finally:
        await caller.close()


@pytest.mark.parametrize(
    ("key", "verdict", "told"),
    [(KEY, Verdict.OK, "and may be asked to call"), ("another", Verdict.FAIL, "(http_401): none can begin")],
)
async def test_doctor_asks_whether_calls_can_begin(
    house: House, key: str, verdict: Verdict, told: str
) -> None:
    settings = house.app.settings.model_copy(update={"jambonz_api_key": SecretStr(key)})
    finding = await check_jambonz(settings)
    assert finding.verdict is verdict
    assert finding.text.endswith(told)
    assert key not in finding.text


async def test_without_an_account_a_number_cannot_call(tmp_path: Path) -> None:
    async with open_house(tmp_path, account=False) as house:
        status, answer = await house.request("POST", "/v1/voice/calls", {"from": OURS, "to": THEIRS})
        assert (status, answer["error"]) == (422, "no_address")
        assert "JAMBONZ_API_KEY" in answer["message"]
