"""`gateway doctor` on agents: whether they can be made, and whether their models are there."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from aiohttp import web

from gateway.commands import agent_checks
from gateway.commands.agent_checks import agent_findings
from gateway.commands.findings import Verdict
from gateway.settings import load_settings
from tests.loopback import served

SECRET = "sk-hush"
AGENT = '[agents.desk]\nkind = "llm"\nmodel = "{model}"\n'
VARIABLES = {
    "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
    "google": ("GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
}


class Provider:
    """A server that knows one model of each provider, and one key."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.status: int | None = None
        self.lists_only = False

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, request.headers))
        if self.status is not None:
            return web.Response(status=self.status)
        if SECRET not in str([*request.headers.values()]):
            return web.Response(status=401, text=SECRET)
        if request.path.endswith("/models"):
            return await _in_pieces(request, b'{"data": [{"id": "other"}, ', b'{"id": "known"}]}')
        known = request.path.endswith("/models/known") and not self.lists_only
        return web.json_response({}, status=200 if known else 404)


async def _in_pieces(request: web.Request, *pieces: bytes) -> web.StreamResponse:
    """A long list arrives so."""
    response = web.StreamResponse()
    await response.prepare(request)
    for piece in pieces:
        await response.write(piece)
        await asyncio.sleep(0.05)
    return response


@pytest.fixture
async def provider(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Provider]:
    found = Provider()
    app = web.Application()
    app.router.add_get("/{path:.*}", found.take)
    async with served(app) as found.url:
        for key, base in VARIABLES.values():
            monkeypatch.setenv(key, SECRET)
            monkeypatch.setenv(base, found.url)
        yield found


async def findings(tmp_path: Path, config: str) -> list[tuple[str, Verdict, str]]:
    path = tmp_path / "gateway.toml"
    path.write_text(config)
    settings = load_settings({}, config_path=path, data_dir=tmp_path, host="127.0.0.1", port=0)
    return [(one.subject, one.verdict, one.text) for one in await agent_findings(settings)]


@pytest.mark.parametrize(
    ("model", "place"),
    [
        ("openai-chat:known", "/models/known"),
        ("anthropic:known", "/v1/models/known"),
        ("google:known", "/v1beta/models/known"),
    ],
)
async def test_a_model_is_looked_up_with_its_key_and_never_asked(
    tmp_path: Path, provider: Provider, model: str, place: str
) -> None:
    agents, found = await findings(tmp_path, AGENT.format(model=model))
    assert agents == ("agents", Verdict.OK, "all 1 can be made")
    assert found == (f"model {model}", Verdict.OK, "127.0.0.1 has it")
    assert [path for path, _ in provider.asked] == [place]


async def test_what_is_wrong_is_told_without_the_key(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    (_, (_, verdict, text)) = await findings(tmp_path, AGENT.format(model="openai:unknown"))
    assert (verdict, text) == (Verdict.WARN, "127.0.0.1 does not list it; check its name")
    provider.lists_only = True
    assert (await findings(tmp_path, AGENT.format(model="openai:known")))[1][1] is Verdict.OK
    provider.status = 503
    assert (await findings(tmp_path, AGENT.format(model="openai:known")))[1][1] is Verdict.WARN
    provider.status = None
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    (_, (_, verdict, text)) = await findings(tmp_path, AGENT.format(model="openai:known"))
    assert (verdict, "OPENAI_API_KEY" in text, "sk-" in text) == (Verdict.FAIL, True, False)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1")
    (_, (_, verdict, text)) = await findings(tmp_path, AGENT.format(model="openai:known"))
    assert (verdict, "127.0.0.1 does not answer" in text) == (Verdict.FAIL, True)
    monkeypatch.delenv("OPENAI_BASE_URL")
    monkeypatch.delenv("OPENAI_API_KEY")
    (_, (_, verdict, text)) = await findings(tmp_path, AGENT.format(model="openai:known"))
    assert (verdict, text) == (Verdict.FAIL, "OPENAI_API_KEY is unset here: desk cannot answer")


async def test_a_library_that_is_missing_is_named(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_checks, "find_spec", lambda _: None)
    (_, (_, verdict, text)) = await findings(tmp_path, AGENT.format(model="anthropic:known"))
    assert (verdict, "pydantic-ai-slim[anthropic]" in text) == (Verdict.FAIL, True)
    assert provider.asked == []


async def test_each_model_is_looked_up_once_and_others_servers_at_their_place(
    tmp_path: Path, provider: Provider
) -> None:
    config = (
        AGENT.format(model="openai:known")
        + 'fallback_model = "test"\nembeddings = "google:known"\n'
        + AGENT.format(model="openai:known").replace("desk", "second")
        + AGENT.format(model="openai:known").replace("desk", "third")
        + f'base_url = "{provider.url}/own"\n'
        + AGENT.format(model="test").replace("desk", "offline")
        + AGENT.format(model="google-cloud:known").replace("desk", "cloud")
    )
    found = await findings(tmp_path, config)
    assert [(subject, verdict) for subject, verdict, _ in found[1:]] == [
        ("model openai:known", Verdict.OK),
        ("model google:known", Verdict.OK),
        ("model openai:known", Verdict.OK),
        ("model google-cloud:known", Verdict.SKIP),
    ]
    assert sorted(path for path, _ in provider.asked) == [
        "/models/known",
        "/own/models/known",
        "/v1beta/models/known",
    ]


async def test_an_agent_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    config = '[agents.desk]\nkind = "python"\ntarget = "no_such_module:answer"\n'
    ((subject, verdict, text),) = await findings(tmp_path, config)
    assert (subject, verdict) == ("agents", Verdict.FAIL)
    assert "no_such_module" in text
