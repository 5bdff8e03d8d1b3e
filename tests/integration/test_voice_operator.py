"""A person answers a call that is carried by documents: what they write is spoken, and the agent goes on."""

import asyncio
from pathlib import Path

from tests.integration.test_outgoing_calls import DOCUMENTS, PATIENCE, TEXTS, THEIRS, V2, open_house

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
