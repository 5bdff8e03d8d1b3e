"""Tools behind a URL, as gateway.toml describes them.

The model fills in values, and nothing else: host, path and headers are the configuration's.
"""

import json
import os
from collections.abc import Mapping
from string import Formatter
from typing import Any
from urllib.parse import quote

import aiohttp

from gateway.domain.tool import InvalidArgumentsError, ToolContext, ToolFailedError, ToolSpec
from gateway.settings import SettingsError
from gateway.settings.llm import HttpToolTable
from workers.agents.http import HttpAgents
from workers.agents.tools.arguments import ArgumentCheck

MAX_BYTES = 1_048_576
"""Of an answer; more is a failure."""
ENVIRONMENT = "env:"

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class HttpTool:
    """One tool."""

    def __init__(self, name: str, table: HttpToolTable, http: HttpAgents) -> None:
        """SettingsError where its schema, or a variable of the environment, is missing or wrong."""
        self._table = table
        self._http = http
        self._in_url = frozenset(field for _, field, _, _ in Formatter().parse(table.url) if field)
        self._headers = resolved_headers(name, table.headers)
        properties = {
            key: {word: value for word, value in schema.items() if word != "optional"}
            for key, schema in table.parameters.items()
        }
        required = [key for key, schema in table.parameters.items() if not schema.get("optional", False)]
        unknown = self._in_url - set(required)
        if unknown:
            raise SettingsError(
                [f"{name}: its URL names {', '.join(sorted(unknown))}: no required parameter"]
            )
        schema = {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }
        self._check = ArgumentCheck(schema, name)
        self._spec = ToolSpec(name=name, description=table.description, parameters=schema)

    @property
    def spec(self) -> ToolSpec:
        """As it is configured."""
        return self._spec

    def check(self, arguments: dict[str, Any]) -> None:
        """Whether they fit."""
        self._check.check(arguments)
        for name in self._in_url:
            if str(arguments[name]).strip() in ("", ".", ".."):
                raise InvalidArgumentsError(f"{name}: must not be empty, . or ..")

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> object:
        """One request; its answer as JSON where it is that, else as text."""
        url = self._table.url.format_map({n: quote(str(arguments[n]), safe="") for n in self._in_url})
        others = {name: value for name, value in arguments.items() if name not in self._in_url}
        with_body = self._table.method in _WITH_BODY
        headers = {**self._headers, "Idempotency-Key": context.idempotency_key, "Accept": "application/json"}
        try:
            async with self._http.session.request(
                self._table.method,
                url,
                json=others if with_body else None,
                params=None if with_body else {name: _plain(value) for name, value in others.items()},
                headers=headers,
                allow_redirects=False,
            ) as response:
                body = await response.content.read(MAX_BYTES + 1)
                while len(body) <= MAX_BYTES and (more := await response.content.read(MAX_BYTES)):
                    body += more
        except (aiohttp.ClientError, OSError) as error:
            raise ToolFailedError(f"the tool could not be reached ({type(error).__name__})") from None
        return _answer(response.status, body)


def resolved_headers(place: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with what the environment holds; SettingsError where it holds nothing."""
    found = {}
    for name, value in headers.items():
        if value.startswith(ENVIRONMENT):
            variable = value.removeprefix(ENVIRONMENT)
            if variable not in os.environ:
                raise SettingsError([f"{place}: headers.{name}: the environment has no {variable}"])
            value = os.environ[variable]
        found[name] = value
    return found


def _answer(status: int, body: bytes) -> object:
    if len(body) > MAX_BYTES:
        raise ToolFailedError(f"the tool answered with more than {MAX_BYTES} bytes")
    text = body.decode("utf-8", "replace")
    if not 200 <= status < 300:
        raise ToolFailedError(f"the tool answered with status {status}: {text[:500]}")
    try:
        return json.loads(text) if text.strip() else {"status": status}
    except (ValueError, RecursionError):
        return text


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
