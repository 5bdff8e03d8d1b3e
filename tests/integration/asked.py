"""What the API of a gateway in this process answers to its administrator."""

from typing import Any

import aiohttp

from gateway.app import App


async def asked(app: App, http: aiohttp.ClientSession, method: str, path: str, body: object = None) -> Any:
    """An answer that is no refusal."""
    headers = {"x-api-key": "root"}
    async with http.request(method, app.http_url + path, json=body, headers=headers) as answer:
        assert answer.status < 400, await answer.text()
        return await answer.json()
