"""What an agent that is a language model may be given in gateway.toml: model, limits and tools."""

import re
from enum import StrEnum
from string import Formatter
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from gateway.settings.refusals import Table
from gateway.settings.values import Number, Text

PROVIDERS = frozenset({"openai", "openai-chat", "openai-responses", "anthropic", "google", "google-cloud"})
"""The providers whose libraries are installed."""
EMBEDDERS = frozenset({"openai", "google"})
"""Those of them that have embedding models."""
OFFLINE = "test"
"""The model that answers without any provider."""
PLATFORM_TOOLS = frozenset(
    {
        "transfer_call",
        "handoff",
        "collect_digits",
        "end_conversation",
        "revoke_consent",
        "remember",
        "search_knowledge",
    }
)
"""The names of the tools that every model has."""

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")
_ENVIRONMENT = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")


def parse_model(value: str) -> str:
    """A model as `provider:name`, or `test`."""
    provider, _, name = value.partition(":")
    if value != OFFLINE and (provider not in PROVIDERS or not name):
        known = ", ".join(sorted(PROVIDERS))
        raise ValueError(f'must be "test" or provider:model, with a provider of {known}')
    return value


def parse_embeddings(value: str) -> str:
    """An embedding model as `provider:name`, or `test`."""
    provider, _, name = value.partition(":")
    if value != OFFLINE and (provider not in EMBEDDERS or not name):
        known = ", ".join(sorted(EMBEDDERS))
        raise ValueError(f'must be "test" or provider:model, with a provider of {known}')
    return value


def parse_tool_name(value: str) -> str:
    """A name that every provider takes for a tool, and that is not one of the platform's."""
    if not _NAME.fullmatch(value):
        raise ValueError("must be a tool's name: letters, digits, _ and -, at most 64")
    if value in PLATFORM_TOOLS:
        raise ValueError("must be another name: the gateway has a tool called that")
    return value


def parse_template(value: str) -> str:
    """An http or https URL with `{argument}` in its path or query only: a model chooses no host."""
    split = urlsplit(value)
    if split.scheme not in ("http", "https") or not split.hostname or "{" in split.netloc:
        raise ValueError("must be a URL like https://shop.example/orders/{order}, {…} in path or query only")
    try:
        names = [name for _, name, spec, conversion in Formatter().parse(value) if name is not None]
        plain = all(_NAME.fullmatch(name) for name in names)
    except ValueError:
        plain = False
    if not plain:
        raise ValueError("must be a URL whose {…} hold the names of parameters")
    return value


def parse_header(value: str) -> str:
    """A header's value, or `env:NAME` for one that is secret."""
    if not value.isascii() or not value.isprintable():
        raise ValueError("must be printable ASCII, or env:NAME")
    if value.startswith("env:") and not _ENVIRONMENT.fullmatch(value):
        raise ValueError("must be env: and the name of a variable of the environment")
    return value


ModelName = Annotated[Text, AfterValidator(parse_model)]
EmbeddingName = Annotated[Text, AfterValidator(parse_embeddings)]
ToolName = Annotated[str, AfterValidator(parse_tool_name)]
Header = Annotated[str, Field(max_length=4096), AfterValidator(parse_header)]
Seconds = Annotated[float, Number, Field(gt=0, le=600)]


class ModelSettingsTable(Table):
    """`model_settings`: what is sent to the model with each request. None: the provider's own."""

    temperature: Annotated[float, Number, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Number, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Number, Field(ge=1, le=1_000_000)] | None = None
    seed: Annotated[int, Number] | None = None


class LimitsTable(Table):
    """`limits`: what one turn may cost."""

    requests: Annotated[int, Number, Field(ge=1, le=50)] = 10
    """Requests to the model."""
    tool_calls: Annotated[int, Number, Field(ge=0, le=50)] = 20
    tokens: Annotated[int, Number, Field(ge=100, le=10_000_000)] = 200_000
    """Tokens of all requests and answers together."""
    history_tokens: Annotated[int, Number, Field(ge=200, le=1_000_000)] = 4_000
    """About how many tokens of earlier messages are read again each turn."""
    request_seconds: Seconds = 40
    """Of one request to a model; then the fallback model is asked."""
    retries: Annotated[int, Number, Field(ge=0, le=5)] = 2
    """Of a request that the provider refused for now (429, 5xx), before anything of an answer came."""
    tool_seconds: Seconds = 20
    """Of one call of a tool."""


class MemorySource(StrEnum):
    """Where the summary of a conversation that is over comes from, and so what is remembered of it."""

    QUOTES = "quotes"
    """The first question and the last answer, as they stand."""
    MODEL = "model"
    """The agent's model writes it, and facts about the person besides."""


class HttpToolTable(Table):
    """`http_tools.<name>`: a tool behind a URL.

    What the URL does not name goes into the body of a POST, PUT or PATCH as JSON, else into the query.
    """

    url: Annotated[Text, AfterValidator(parse_template)]
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    description: Annotated[str, Field(min_length=1, max_length=4_000)]
    parameters: dict[ToolName, dict[str, Any]] = Field({}, max_length=50)
    """JSON Schema of each by its name; `optional = true` beside it for one that may be left out."""
    headers: dict[Text, Header] = Field({}, max_length=50)


class McpServerTable(Table):
    """`mcp_servers.<name>`: an MCP server over streamable HTTP, and which of its tools may be called."""

    url: Annotated[Text, AfterValidator(parse_template)]
    tools: Annotated[tuple[ToolName, ...], Field(min_length=1, max_length=100)]
    headers: dict[Text, Header] = Field({}, max_length=50)
