"""The demonstration's API client: what a developer would do with curl."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from gateway.demo.expect import expect

JsonObject = dict[str, Any]


class ApiClient:
    """The API under one key. Every request says which status it expects; another one is a Mismatch."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, key: str) -> None:
        self._session = session
        self._base_url = base_url
        self._headers = {"x-api-key": key}

    async def post(self, path: str, body: JsonObject | None = None, *, status: int = 200) -> JsonObject:
        """POST JSON, and the answer's JSON."""
        return await self._request("POST", path, body, status)

    async def get(self, path: str) -> JsonObject:
        """The JSON there."""
        return await self._request("GET", path, None, 200)

    async def delete(self, path: str) -> None:
        """DELETE, which answers nothing."""
        await self._request("DELETE", path, None, 204)

    async def stream(self, path: str, body: JsonObject) -> AsyncIterator[tuple[str, JsonObject]]:
        """POST JSON, and the events of the answer: name and data."""
        async with self._session.post(
            f"{self._base_url}{path}", json=body, headers=self._headers
        ) as response:
            expect(f"status of POST {path}", response.status, 200)
            expect(f"content type of POST {path}", response.content_type, "text/event-stream")
            event = ""
            async for raw in response.content:
                line = raw.decode().rstrip("\n")
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    yield event, json.loads(line.removeprefix("data: "))

    async def _request(self, method: str, path: str, body: JsonObject | None, status: int) -> JsonObject:
        async with self._session.request(
            method, f"{self._base_url}{path}", json=body, headers=self._headers
        ) as response:
            text = await response.text()
            expect(f"status of {method} {path}", (response.status, text[:200]), (status, text[:200]))
            return json.loads(text) if text else {}
