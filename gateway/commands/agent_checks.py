"""The checks of `gateway doctor` on agents: whether each can be made, and whether its model is there.

Keys and base URLs are those that the providers' libraries read. A model is looked up, never asked: that
would cost.
"""

import asyncio
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.util import find_spec
from urllib.parse import quote

import aiohttp
from yarl import URL

from channels.exchange import read_body
from gateway.commands.findings import SECONDS, Finding, Verdict
from gateway.domain.clock import Clock
from gateway.settings import FlowAgent, LlmAgent, Settings, SettingsError
from gateway.settings.llm import OFFLINE

MAX_BYTES = 4_194_304
"""Of a list of models."""
_MOST_TOLD = 5
"""Problems of agents that are listed."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Where a provider's models are looked up, and what its library reads from the environment."""

    module: str
    extra: str
    keys: tuple[str, ...]
    base_variable: str
    base: str
    header: str
    """That carries the key; `{}` stands for it."""
    models: str = "models"
    """Path of its models, below the base."""
    more: Mapping[str, str] = field(default_factory=dict)
    """Headers besides."""


_OPENAI = Provider(
    "openai",
    "openai",
    ("OPENAI_API_KEY",),
    "OPENAI_BASE_URL",
    "https://api.openai.com/v1",
    "Authorization: Bearer {}",
)
PROVIDERS: Mapping[str, Provider] = {
    # https://platform.openai.com/docs/api-reference/models/retrieve
    "openai": _OPENAI,
    "openai-chat": _OPENAI,
    "openai-responses": _OPENAI,
    # https://docs.anthropic.com/en/api/models
    "anthropic": Provider(
        "anthropic",
        "anthropic",
        ("ANTHROPIC_API_KEY",),
        "ANTHROPIC_BASE_URL",
        "https://api.anthropic.com",
        "x-api-key: {}",
        models="v1/models",
        more={"anthropic-version": "2023-06-01"},
    ),
    # https://ai.google.dev/api/models
    "google": Provider(
        "google.genai",
        "google",
        ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        "GOOGLE_GEMINI_BASE_URL",
        "https://generativelanguage.googleapis.com",
        "x-goog-api-key: {}",
        models="v1beta/models",
    ),
}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A model, as an agent names it."""

    model: str
    base_url: str | None


async def agent_findings(settings: Settings) -> list[Finding]:
    """A line for the agents, and one for each model that they ask."""
    wanted: defaultdict[_Wanted, list[str]] = defaultdict(list)
    for slug, one in _models(settings):
        wanted[one].append(slug)
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        models = await asyncio.gather(*(_model(session, one, slugs) for one, slugs in wanted.items()))
    return [await asyncio.to_thread(_agents, settings), *models]


def _agents(settings: Settings) -> Finding:
    """Whether each can be made: its functions are there, and what its headers name in the environment."""
    from workers.agents.catalogue import build_agents
    from workers.agents.http import HttpAgents

    try:
        made = build_agents(settings.config, HttpAgents(None, Clock()))
    except SettingsError as error:
        told = "; ".join(error.problems[:_MOST_TOLD])
        more = len(error.problems) - _MOST_TOLD
        return Finding("agents", Verdict.FAIL, f"{told}; {more} more" if more > 0 else told)
    return Finding("agents", Verdict.OK, f"all {len(made)} can be made")


def _models(settings: Settings) -> Iterator[tuple[str, _Wanted]]:
    for slug, agent in settings.config.agents.items():
        definition = agent.definition
        names: list[str | None] = []
        base_url = None
        if isinstance(definition, LlmAgent):
            names = [definition.model, definition.fallback_model, definition.embeddings]
            base_url = definition.base_url
        elif isinstance(definition, FlowAgent):
            names, base_url = [definition.model], definition.base_url
        for name in names:
            if name is not None and name != OFFLINE:
                ours = name.startswith(("openai:", "openai-chat:")) and base_url is not None
                yield slug, _Wanted(name, str(base_url) if ours else None)


async def _model(session: aiohttp.ClientSession, wanted: _Wanted, slugs: list[str]) -> Finding:
    """Whether what asks a model is installed and has a key, and the model's provider knows it."""
    subject = f"model {wanted.model}"
    kind, _, name = wanted.model.partition(":")
    provider = PROVIDERS.get(kind)
    if provider is None:
        return Finding(subject, Verdict.SKIP, f"models of {kind} are not looked up")
    if not _installed(provider.module):
        text = f"the library {provider.module} is missing; install pydantic-ai-slim[{provider.extra}]"
        return Finding(subject, Verdict.FAIL, text)
    key = next((os.environ[variable] for variable in provider.keys if os.environ.get(variable)), None)
    base = wanted.base_url or os.environ.get(provider.base_variable)
    if key is None and base is None:
        text = f"{provider.keys[0]} is unset here: {', '.join(slugs)} cannot answer"
        return Finding(subject, Verdict.FAIL, text)
    place = f"{(base or provider.base).rstrip('/')}/{provider.models}"
    header, _, value = provider.header.partition(": ")
    headers = {**provider.more, **({header: value.format(key)} if key else {})}
    try:
        status = await _looked_up(session, place, name, headers)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        return Finding(subject, Verdict.FAIL, f"{URL(place).host} does not answer ({type(error).__name__})")
    return _finding(subject, status, URL(place).host or "", provider)


def _finding(subject: str, status: int, host: str, provider: Provider) -> Finding:
    if status == HTTPStatus.OK:
        return Finding(subject, Verdict.OK, f"{host} has it")
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Finding(subject, Verdict.FAIL, f"{host} refuses the key ({status}); check {provider.keys[0]}")
    if status == HTTPStatus.NOT_FOUND:
        return Finding(subject, Verdict.WARN, f"{host} does not list it; check its name")
    return Finding(subject, Verdict.WARN, f"{host} answers {status}; try again later")


async def _looked_up(
    session: aiohttp.ClientSession, place: str, name: str, headers: Mapping[str, str]
) -> int:
    """The status for one model; some servers know nothing but the list of all."""
    status, _ = await _get(session, f"{place}/{quote(name, safe='')}", headers)
    if status != HTTPStatus.NOT_FOUND:
        return status
    status, listed = await _get(session, place, headers)
    known = listed.get("data") if isinstance(listed, dict) else None
    ids = [one.get("id") for one in known or () if isinstance(one, dict)]
    return HTTPStatus.NOT_FOUND if status == HTTPStatus.OK and name not in ids else status


async def _get(session: aiohttp.ClientSession, url: str, headers: Mapping[str, str]) -> tuple[int, object]:
    """Status, and what was answered as far as it is JSON."""
    async with session.get(URL(url, encoded=True), headers=headers, allow_redirects=False) as response:
        body = await read_body(response, MAX_BYTES)
        try:
            return response.status, json.loads(body)
        except ValueError:
            return response.status, None


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it would be in
        return False
