"""A scripted model behind OpenAI's chat completions: says what it was told, and fails on request.

It stands in for a provider, or a local server that speaks the same, in demonstrations and tests.
Source: https://platform.openai.com/docs/api-reference/chat
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from zlib import crc32

from aiohttp import web

from workers.agents.fake_server import ScriptedServer, break_off

PATH: Final = "/v1/chat/completions"
EMBEDDINGS_PATH: Final = "/v1/embeddings"
DIMENSIONS: Final = 256
MODEL: Final = "fake-model"

_WORD = re.compile(r"\w+")


class ModelFault(StrEnum):
    """What a provider may do wrong."""

    RATE_LIMITED = "rate_limited"
    """Answers 429, and wants to be asked again at once."""
    SERVER_ERROR = "server_error"
    """Answers 500."""
    DISCONNECT = "disconnect"
    """Streams half of its answer, then the connection is gone."""
    NO_END = "no_end"
    """Streams its answer and ends the body, but never says that it has finished."""
    MALFORMED_ARGUMENTS = "malformed_arguments"
    """The arguments of its calls are no JSON."""
    NO_ANSWER = "no_answer"
    """Takes the request and never answers."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that the model calls."""

    name: str
    arguments: Mapping[str, Any]


Say = str | Call | Sequence[str | Call]
"""One answer: a text, a call, or several of both."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One request, as it came."""

    body: Mapping[str, Any]

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        """The conversation that the model was given."""
        return self.body["messages"]  # type: ignore[no-any-return]

    @property
    def tools(self) -> Sequence[str]:
        """The names of the tools it may call."""
        return [tool["function"]["name"] for tool in self.body.get("tools", [])]

    @property
    def tokens(self) -> int:
        """What the fake counts: a token for four characters of what it was sent."""
        return len(json.dumps(self.body["messages"], ensure_ascii=False)) // 4


class ScriptedModel(ScriptedServer[ModelRequest, Say, ModelFault]):
    """Serves `PATH` on a loopback port.

    The script is a function of the request, or a list of answers (`ScriptedServer`).
    `pace_seconds` is waited between the pieces of a stream; it may be changed at any time.
    """

    def __init__(self, script: Callable[[ModelRequest], Say] | Sequence[Say]) -> None:
        """A list of no answers is a ValueError."""
        super().__init__(PATH, script)
        self.pace_seconds = 0.0
        self.base_url = ""
        """What `base_url` of an agent is set to."""
        self.requests: list[ModelRequest] = []
        self.alike: Mapping[str, str] = {}
        """Words that mean the same as another, for embeddings: a vector is made of the words of its text."""
        self.embedded: list[Sequence[str]] = []
        """The texts of each request for embeddings."""
        self.embedding_fault: ModelFault | None = None
        """`SERVER_ERROR` or `NO_ANSWER`, at every such request."""
        self._calls = 0

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen, and return the base URL. Raises OSError where the port is taken."""
        self.base_url = f"{await self.listen(host, port)}/v1"
        return self.base_url

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Chat completions and embeddings."""
        super().add_routes(router)
        router.add_post(EMBEDDINGS_PATH, self._embed)

    async def _embed(self, request: web.Request) -> web.StreamResponse:
        if self.embedding_fault is ModelFault.SERVER_ERROR:
            return _refusal(500, "server_error", {})
        if self.embedding_fault is ModelFault.NO_ANSWER:
            return await self.hold(request)
        asked = await request.json()
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        self.embedded.append(texts)
        listed = [
            {"object": "embedding", "index": index, "embedding": self._vector(text)}
            for index, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        return web.json_response({"object": "list", "data": listed, "model": asked["model"], "usage": usage})

    def _vector(self, text: str) -> Sequence[float]:
        vector = [0.0] * DIMENSIONS
        for word in _WORD.findall(text.lower()):
            vector[crc32(self.alike.get(word, word).encode()) % DIMENSIONS] += 1.0
        return vector

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Keep a request, and answer it."""
        try:
            asked = ModelRequest(json.loads(await request.read()))
        except ValueError as error:
            raise web.HTTPBadRequest(text="not JSON") from error
        self.requests.append(asked)
        fault = self.next_fault()
        if fault is ModelFault.RATE_LIMITED:
            return _refusal(429, "rate_limit_exceeded", {"Retry-After": "0"})
        if fault is ModelFault.SERVER_ERROR:
            return _refusal(500, "server_error", {})
        if fault is ModelFault.NO_ANSWER:
            return await self.hold(request)
        pieces = self._pieces(self.next_answer(asked), malformed=fault is ModelFault.MALFORMED_ARGUMENTS)
        if asked.body.get("stream"):
            return await self._stream(request, asked, pieces, fault)
        return web.json_response(_whole(asked, pieces))

    async def _stream(
        self,
        request: web.Request,
        asked: ModelRequest,
        pieces: Sequence[Mapping[str, Any]],
        fault: ModelFault | None,
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        sent = pieces[: max(1, len(pieces) // 2)] if fault is ModelFault.DISCONNECT else pieces
        for piece in sent:
            await response.write(_event(asked, [_choice(piece, None)]))
            await asyncio.sleep(self.pace_seconds)
        if fault is ModelFault.DISCONNECT:
            break_off(request)
            return response
        if fault is not ModelFault.NO_END:
            await response.write(_event(asked, [_choice({}, _reason(pieces))]))
            await response.write(_event(asked, [], _usage(asked, pieces)))
            await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    def _pieces(self, say: Say, *, malformed: bool) -> Sequence[Mapping[str, Any]]:
        """An answer as the deltas of a stream: texts word by word, arguments in two halves."""
        parts = [say] if isinstance(say, str | Call) else list(say)
        pieces: list[Mapping[str, Any]] = [{"role": "assistant", "content": ""}]
        index = 0
        for part in parts:
            if isinstance(part, str):
                words = part.split(" ")
                pieces += [{"content": word if n == 0 else f" {word}"} for n, word in enumerate(words)]
                continue
            self._calls += 1
            written = '{"broken": ' if malformed else json.dumps(part.arguments)
            half = len(written) // 2
            head = {"id": f"call_{self._calls}", "type": "function"}
            begun = {**head, "index": index, "function": {"name": part.name, "arguments": written[:half]}}
            pieces.append({"tool_calls": [begun]})
            pieces.append({"tool_calls": [{"index": index, "function": {"arguments": written[half:]}}]})
            index += 1
        return pieces


def _refusal(status: int, code: str, headers: Mapping[str, str]) -> web.Response:
    error = {"error": {"message": "as it was asked to", "type": code, "code": code, "param": None}}
    return web.json_response(error, status=status, headers=headers)


def _reason(pieces: Sequence[Mapping[str, Any]]) -> str:
    return "tool_calls" if any("tool_calls" in piece for piece in pieces) else "stop"


def _usage(asked: ModelRequest, pieces: Sequence[Mapping[str, Any]]) -> Mapping[str, int]:
    answered = len(pieces)
    return {
        "prompt_tokens": asked.tokens,
        "completion_tokens": answered,
        "total_tokens": asked.tokens + answered,
    }


def _choice(delta: Mapping[str, Any], reason: str | None) -> Mapping[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": reason}


def _event(
    asked: ModelRequest, choices: Sequence[Mapping[str, Any]], usage: Mapping[str, int] | None = None
) -> bytes:
    chunk = {
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": asked.body.get("model", MODEL),
        "choices": choices,
        "usage": usage,
    }
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def _whole(asked: ModelRequest, pieces: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The answer where nobody wants a stream."""
    calls: dict[int, dict[str, Any]] = {}
    for piece in pieces:
        for call in piece.get("tool_calls", []):
            known = calls.setdefault(
                call["index"], {**call, "function": {**call["function"], "arguments": ""}}
            )
            known["function"]["arguments"] += call["function"]["arguments"]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(piece.get("content", "") for piece in pieces),
    }
    if calls:
        message["tool_calls"] = [
            {key: value for key, value in call.items() if key != "index"} for call in calls.values()
        ]
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 1,
        "model": asked.body.get("model", MODEL),
        "choices": [{"index": 0, "message": message, "finish_reason": _reason(pieces)}],
        "usage": _usage(asked, pieces),
    }
