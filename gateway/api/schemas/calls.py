"""What a call is begun with."""

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from gateway.api.schemas.common import Request
from gateway.api.schemas.conversations import AgentName

MAX_NUMBER = 64
MAX_SAID = 1600
"""Characters of what is said first."""
_Number = Annotated[str, Field(min_length=1, max_length=MAX_NUMBER)]


class NewCallBody(Request):
    """Whom to call, from which number, and who speaks."""

    model_config = ConfigDict(
        populate_by_name=True,
        json_schema_extra={
            "example": {
                "to": "+14155550123",
                "from": "+15550100",
                "assistant_id": "support",
                "context_variables": {"customer_name": "Alex"},
                "first_message": "Hello Alex, this is Example. Your order is ready.",
            }
        },
    )

    end_user_id: UUID | None = Field(
        default=None, description="Who is called, at their phone number. Either this or `to`."
    )
    to: _Number | None = Field(
        default=None, description="Whom to call, in E.164. Either this or `end_user_id`."
    )
    sender: _Number | None = Field(
        default=None,
        alias="from",
        description="Which of our numbers calls; else the first of the agent's that can.",
    )
    assistant_id: AgentName | None = None
    agent: AgentName | None = Field(default=None, description="Another name of `assistant_id`.")
    context_variables: dict[str, Any] = Field(
        default_factory=dict, description="Facts the agent is given.", examples=[{"customer_name": "Alex"}]
    )
    metadata: dict[str, Any] = Field(default_factory=dict, description="Yours; passed through untouched.")
    first_message: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_SAID,
        description="What whoever answers is told first; else the greeting of the number.",
    )

    @model_validator(mode="after")
    def _one_callee(self) -> Self:
        if (self.end_user_id is None) == (self.to is None):
            raise ValueError("name whom to call: either end_user_id or to")
        if self.agent is not None and self.assistant_id not in (None, self.agent):
            raise ValueError("assistant_id and agent name two agents; give one of them")
        return self

    @property
    def wanted_agent(self) -> str | None:
        """The agent that was named."""
        return self.assistant_id or self.agent
