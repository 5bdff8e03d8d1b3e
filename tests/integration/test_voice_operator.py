"""A person answers a call that is carried by documents: what they write is spoken, and the agent goes on."""

import asyncio
from pathlib import Path

from tests.integration.test_outgoing_calls import DOCUMENTS, TEXTS, THEIRS, open_house
from tests.integration.twilio_house import V2
from tests.waiting import PATIENCE

ANSWER = "You said: are you there?"


async def test_an_operator_is_heard_and_gives_the_call_back(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        call = await house.fake.call(THEIRS, DOCUMENTS)
        await call.say("human")
        assert call.said[-1] == TEXTS.hold
        [conversation] = (await house.get(f"{V2}?channel=voice"))["items"]
        answers = f"{V2}/{conversation['id']}/human-turns"
        await house.post({"content": "This is Jamie."}, path=answers)
        await call.silence()
        assert call.said[-1] == "This is Jamie."
        await call.say("are you there?")
        await house.post({"content": "I am, and hand you back."}, path=answers)
        await house.post({"content": None, "return_control": True}, path=answers)
        async with asyncio.timeout(PATIENCE):
            while ("assistant", ANSWER) not in await house.transcript(conversation["id"]):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        told = len(call.said)
        await call.silence()
        assert call.said[told:] == ["I am, and hand you back.", ANSWER]
        assert call.said.count("This is Jamie.") == 1


async def test_a_caller_who_says_nothing_on_hold_is_given_back(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        call = await house.fake.call(THEIRS, DOCUMENTS)
        await call.say("human")
        [conversation] = (await house.get(f"{V2}?channel=voice"))["items"]
        answers = f"{V2}/{conversation['id']}/human-turns"
        await house.post({"content": "All is well.", "return_control": True}, path=answers)
        told = len(call.said)
        await call.silence()
        assert call.said[told:] == ["All is well.", TEXTS.reminder]
        await call.say("hello")
        assert call.said[-1] == "You said: hello"


async def test_who_is_listened_to_hears_a_person_who_takes_over(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        call = await house.fake.call(THEIRS, DOCUMENTS)
        await call.say("hello")
        [conversation] = (await house.get(f"{V2}?channel=voice"))["items"]
        path = f"{V2}/{conversation['id']}"
        await house.post({"content": "This is Jamie.", "take_over": True}, path=f"{path}/human-turns")
        told = len(call.said)
        await call.silence()
        assert call.said[told:] == ["This is Jamie."]
        await house.post({}, path=f"{path}/close")
        await call.silence()
        assert call.said[told:] == ["This is Jamie.", TEXTS.goodbye]
        assert call.ended
