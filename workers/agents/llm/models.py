"""The models that a configuration names, ready to be asked."""

from pydantic_ai.exceptions import ModelAPIError, UserError
from pydantic_ai.models import Model, infer_model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.settings import ModelSettings

from gateway.domain.agent import AgentFailed
from gateway.settings import LlmAgent
from gateway.settings.llm import OFFLINE


def model_of(definition: LlmAgent) -> Model:
    """The model of an agent, with its fallback behind it. Raises AgentFailed where it lacks a key."""
    try:
        first = _model(definition.model, definition)
        if definition.fallback_model is None:
            return first
        return FallbackModel(
            first, _model(definition.fallback_model, definition), fallback_on=(ModelAPIError,)
        )
    except UserError as error:
        raise AgentFailed(f"the model cannot be used: {error}") from None


def settings_of(definition: LlmAgent) -> ModelSettings:
    """What is sent with each request."""
    limits, wanted = definition.limits, definition.model_settings
    settings = ModelSettings(request_timeout=limits.request_seconds, timeout=limits.request_seconds)
    if definition.model != OFFLINE:
        settings["max_retries"] = limits.retries
    if wanted.temperature is not None:
        settings["temperature"] = wanted.temperature
    if wanted.top_p is not None:
        settings["top_p"] = wanted.top_p
    if wanted.max_tokens is not None:
        settings["max_tokens"] = wanted.max_tokens
    if wanted.seed is not None:
        settings["seed"] = wanted.seed
    return settings


def _model(name: str, definition: LlmAgent) -> Model:
    if name == OFFLINE:
        from pydantic_ai.models.test import TestModel

        return TestModel(call_tools=[])
    provider, _, model = name.partition(":")
    if definition.base_url is not None and provider in ("openai", "openai-chat"):
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider

        return OpenAIChatModel(model, provider=OpenAIProvider(base_url=definition.base_url))
    return infer_model(name)
