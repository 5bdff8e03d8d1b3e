"""Many at once on one conversation: who writes, polls, follows events and pages sees one order."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from tests.acceptance.conftest import CONVERSATIONS, Answer, Site, until
from tests.deployments import CLIENT

pytestmark = pytest.mark.asyncio(loop_scope="session")

PATIENCE = 60.0
Said = tuple[int, str, str]
"""A message as every reader must see it: seq, id, content."""


async def _turn(site: Site, conversation_id: str, text: str, **more: object) -> Answer:
    path = f"{CONVERSATIONS}/{conversation_id}/turns"
    return await site.call("POST", path, {"user_message": text, **more}, patience=PATIENCE)


async def test_fifty_turns_at_once_are_fifty_turns_in_an_order(site: Site) -> None:
    conversation_id = await site.new_conversation()
    texts = [f"number {number}" for number in range(50)]
    answers = await asyncio.gather(*(_turn(site, conversation_id, text) for text in texts))
    assert {answer.status for answer in answers} == {200}
    assert [answer.body["text"] for answer in answers] == [f"You said: {text}" for text in texts]
    assert len({answer.body["turn_id"] for answer in answers}) == 50
    assert sorted(answer.body["message_seqs"] for answer in answers) == [
        [2 * n, 2 * n + 1] for n in range(50)
    ]

    messages = await site.messages(conversation_id)
    assert [message["seq"] for message in messages] == list(range(100))
    by_turn = {answer.body["turn_id"]: answer.body for answer in answers}
    for asked, said in zip(messages[::2], messages[1::2], strict=True):
        assert (asked["role"], said["role"]) == ("user", "assistant")
        assert asked["turn_id"] == said["turn_id"]
        answer = by_turn[said["turn_id"]]
        assert (answer["text"], answer["message_seqs"]) == (said["content"], [asked["seq"], said["seq"]])
        assert said["content"] == f"You said: {asked['content']}"


async def test_of_those_who_ask_for_update_one_is_answered(site: Site) -> None:
    conversation_id = await site.new_conversation(assistant_id="slow")
    answers = await asyncio.gather(
        *(_turn(site, conversation_id, "wait 1", for_update=True) for _ in range(10))
    )
    assert sorted(answer.status for answer in answers) == [200] + [409] * 9
    assert {a.body["error"] for a in answers if a.status == 409} == {"turn_in_progress"}
    assert len(await site.messages(conversation_id)) == 2


class _Readers:
    """Three ways to read one conversation, each until it has seen so many messages."""

    def __init__(self, site: Site, conversation_id: str, wanted: int) -> None:
        self._site = site
        self._path = f"{CONVERSATIONS}/{conversation_id}"
        self._wanted = wanted

    async def poll(self) -> list[Said]:
        """Poll on from the seq that was told last."""
        seen: list[Said] = []
        since = -1
        while len(seen) < self._wanted:
            page = await self._site.get(f"{self._path}/messages?since_seq={since}&limit=7&wait=5")
            seen += [_said(message) for message in page["messages"]]
            since = page["next_seq"]
        return seen

    async def transcript(self) -> list[Said]:
        """Page on from the last cursor, also where there was no more."""
        seen: list[Said] = []
        cursor = ""
        while len(seen) < self._wanted:
            page = await self._site.get(f"{self._path}/turns?limit=5{cursor}")
            seen += [_said(row) for row in page["turns"]]
            cursor = f"&cursor={page['next_cursor']}"
            if not page["has_more"]:
                await asyncio.sleep(0.01)
        return seen

    async def events(self) -> list[Said]:
        """Follow, and begin again elsewhere after every ten events."""
        seen: list[Said] = []
        last = "0"
        while len(seen) < self._wanted:
            number = 0
            async for event_id, kind, body in events(self._site, self._site.deployment.url, self._path, last):
                last = event_id
                if kind == "message":
                    seen.append(_said(body))
                number += 1
                if number == 10 or len(seen) == self._wanted:
                    break
        return seen


def _said(row: dict[str, Any]) -> Said:
    return row["seq"], row["id"], row["content"]


async def events(
    site: Site, url: str, path: str, after: str
) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
    """Id, name and data of the events after one, from the process at `url`."""
    headers = {"x-api-key": CLIENT, "Last-Event-ID": after}
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with site.http.get(f"{url}{path}/events", headers=headers, timeout=timeout) as response:
        assert response.status == 200
        frame: dict[str, str] = {}
        async for line in response.content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                frame[name] = value
            elif "data" in frame:
                yield frame["id"], frame["event"], json.loads(frame["data"])
                frame = {}


async def test_poll_events_and_transcript_agree_while_twenty_write(site: Site) -> None:
    conversation_id = await site.new_conversation()
    writers, turns = 20, 3

    async def write(writer: int) -> None:
        for number in range(turns):
            answer = await _turn(site, conversation_id, f"{writer}.{number}")
            assert answer.status == 200, answer

    readers = _Readers(site, conversation_id, 2 * writers * turns)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        reading = [tasks.create_task(read()) for read in (readers.poll, readers.transcript, readers.events)]
        for writer in range(writers):
            tasks.create_task(write(writer))
    polled, paged, followed = [task.result() for task in reading]
    assert [seq for seq, _, _ in polled] == list(range(2 * writers * turns))
    assert polled == paged == followed == [_said(m) for m in await site.messages(conversation_id)]


async def test_events_go_on_at_another_process_and_after_a_kill(site: Site) -> None:
    conversation_id = await site.new_conversation()
    path = f"{CONVERSATIONS}/{conversation_id}"
    first, second = site.deployment.urls[0], site.deployment.urls[-1]
    serving = site.deployment.named("serve")[0]
    seen: list[tuple[str, str | None]] = []
    last = "0"

    async def follow(url: str, wanted: int) -> None:
        """Until so many were seen in all, or the process is gone."""
        nonlocal last
        with suppress(aiohttp.ClientError):
            async for event_id, _, body in events(site, url, path, last):
                seen.append((event_id, body.get("content") or body.get("session_status")))
                last = event_id
                if len(seen) == wanted:
                    return

    following = asyncio.create_task(follow(first, 99))
    for text in ("one", "two"):
        assert (await _turn(site, conversation_id, text)).status == 200

    async def told() -> bool:
        return len(seen) == 4

    await until(told, "four events")
    await serving.kill()
    await asyncio.wait_for(following, PATIENCE)
    if site.deployment.distributed:  # goes on at the other process, which the turns of now are asked at, too
        async with site.http.post(
            f"{second}{path}/turns", json={"user_message": "three"}, headers={"x-api-key": CLIENT}
        ) as answer:
            assert answer.status == 200
        await asyncio.wait_for(follow(second, 6), PATIENCE)
    await site.deployment.start()
    if not site.deployment.distributed:
        assert (await _turn(site, conversation_id, "three")).status == 200
        await asyncio.wait_for(follow(first, 6), PATIENCE)
    assert (await site.call("POST", f"{path}/close")).status == 200
    await asyncio.wait_for(follow(first, 99), PATIENCE)  # ends by itself
    said = [text for word in ("one", "two", "three") for text in (word, f"You said: {word}")]
    assert [what for _, what in seen] == [*said, "closed"]
    assert [int(event_id) for event_id, _ in seen] == list(range(1, 8))


async def test_a_stream_whose_reader_goes_away_is_a_turn_like_any_other(site: Site) -> None:
    conversation_id = await site.new_conversation(assistant_id="slow")
    path = f"{CONVERSATIONS}/{conversation_id}"
    async with site.http.post(
        f"{site.deployment.url}{path}/turns/stream",
        json={"user_message": "wait 1"},
        headers={"x-api-key": CLIENT},
    ) as response:
        assert await response.content.readuntil(b"\n\n") == b'event: delta\ndata: {"text":"Well: "}\n\n'
        response.close()

    async def answered() -> list[str] | None:
        said = [message["content"] for message in await site.messages(conversation_id)]
        return said if len(said) == 2 else None

    assert await until(answered, "the answer") == ["wait 1", "Well: <wait 1>"]
    assert (await _turn(site, conversation_id, "next")).body["message_seqs"] == [2, 3]
