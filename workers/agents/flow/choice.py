"""A model chooses how a flow goes on. Importing this module loads pydantic-ai."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from pydantic_ai import Agent
from pydantic_ai.models import Model
from pydantic_ai.usage import UsageLimits

from gateway.domain.agent import TurnRequest
from gateway.settings import LlmAgent
from workers.agents.llm.cut import cut
from workers.agents.llm.failures import failure_of
from workers.agents.llm.models import model_of, settings_of
from workers.agents.llm.prompt import POSTURE

MAX_READ = 8_000
"""Characters of what was said that the model reads."""


class ModelChoice:
    """One request, one word of answer."""

    def __init__(self, definition: LlmAgent) -> None:
        """Raises AgentFailed where the model cannot be used, such as without a key."""
        self._model: Model = model_of(definition)
        self._settings = settings_of(definition)
        self._agent = Agent(self._model, output_type=str)

    @property
    def connections(self) -> AbstractAsyncContextManager[object]:
        """To the model's provider."""
        return self._model

    async def __call__(self, turn: TurnRequest, question: str, options: Mapping[str, str]) -> str | None:
        """The option that the answer names; None for any other answer. Raises AgentFailed."""
        listed = "\n".join(f"- {name}: {about}" for name, about in options.items())
        asked = (
            f"Decide about the user's message: {question}\nAnswer with exactly one of these names, or with "
            f"none of them by the word none:\n{listed}\n\n{POSTURE}"
        )
        try:
            answer = await self._agent.run(
                cut(turn.input_text, MAX_READ),
                instructions=asked,
                model_settings=self._settings,
                usage_limits=UsageLimits(request_limit=3),
            )
        except Exception as error:
            raise failure_of(error) from error
        said = answer.output.strip().strip("`'\".").casefold()
        return next((name for name in options if name.casefold() == said), None)
