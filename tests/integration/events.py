"""A reader of a conversation's events, as a client would write one."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Event:
    """One event."""

    id: str
    name: str
    data: Any


class Events:
    """An open stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.seen: list[Event] = []

    async def next(self) -> Event | None:
        """The next event; None at the end of the stream."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            lines: list[str] = []
            while line := (await self._response.content.readline()).decode():
                assert line.endswith("\n")
                assert "\r" not in line
                if line != "\n":
                    lines += [line[:-1]] if not line.startswith(":") else []
                elif lines:
                    return self._event(lines)
        assert not lines
        return None

    def _event(self, lines: list[str]) -> Event:
        keys, values = zip(*(line.split(": ", 1) for line in lines), strict=True)
        assert keys == ("id", "event", "data")
        event = Event(values[0], values[1], json.loads(values[2]))
        self.seen.append(event)
        return event

    async def until(self, wanted: Callable[[Event], bool]) -> list[Event]:
        """The events up to and with the first that is wanted."""
        found = []
        while event := await self.next():
            found.append(event)
            if wanted(event):
                return found
        raise AssertionError(f"the stream ended before: {found}")

    async def rest(self) -> list[Event]:
        """The events up to the end."""
        found = []
        while event := await self.next():
            found.append(event)
        return found


@asynccontextmanager
async def events(
    session: aiohttp.ClientSession, url: str, key: str, last: str | None = None
) -> AsyncIterator[Events]:
    """Open a stream at `url` (of the conversation) after an event."""
    headers = {"x-api-key": key} | ({} if last is None else {"Last-Event-ID": last})
    async with session.get(f"{url}/events", headers=headers) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        yield Events(response)


def message(text: str) -> Callable[[Event], bool]:
    """Whether an event is a message with this text."""
    return lambda event: event.name == "message" and event.data["content"] == text
