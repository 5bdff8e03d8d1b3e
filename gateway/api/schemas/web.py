"""Web tokens as the business's server asks for them."""

from uuid import UUID

from pydantic import ConfigDict, Field

from gateway.api.schemas import examples
from gateway.api.schemas.common import Request, Shape, Time, Uuid, example

MAX_TTL_SECONDS = 24 * 3600


class _Token(Request):
    ttl_seconds: int = Field(default=3600, ge=60, le=MAX_TTL_SECONDS, description="At most a day.")


class ConversationTokenBody(_Token):
    """A token for a conversation there is."""

    model_config = example({"conversation_id": examples.CONVERSATION["id"], "ttl_seconds": 3600})

    conversation_id: UUID = Field(description="An open conversation on web or api.")


class EndUserTokenBody(_Token):
    """A token for an end user: for their open web chat, or a new one."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"end_user_id": "550e8400-e29b-41d4-a716-446655440000", "ttl_seconds": 3600}
        }
    )

    end_user_id: UUID = Field(description="From POST /v1/identity/resolve.")


class WebTokenShape(Shape):
    """A token to hand to a browser."""

    model_config = example(examples.WEB_TOKEN)

    token: str = Field(description="Send it as `Authorization: Bearer`.")
    conversation_id: Uuid
    end_user_id: Uuid
    expires_at: Time
