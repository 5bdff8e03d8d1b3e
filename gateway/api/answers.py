"""Answers as they leave: JSON from a shape, and the repetition of one that was given before."""

from typing import Annotated, Any

from fastapi import Depends, Header, Request
from pydantic import BaseModel
from starlette.responses import Response

from gateway.api.auth import Principal, caller
from gateway.api.json_body import body_hash
from gateway.api.schemas.common import ErrorBody
from gateway.service.idempotency import Answer, Key

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": what}
    for status, what in (
        (400, "The cursor or Last-Event-ID is not one of this list's."),
        (401, "No valid API key."),
        (403, "The key has not the role."),
        (404, "No such thing in this organisation."),
        (409, "The state does not allow it."),
        (413, "More than 1 MiB."),
        (422, "The request is not valid; `detail` says where."),
        (429, "Too many requests with this key; wait as long as `Retry-After` says."),
        (503, "Try again later."),
    )
}
"""What every route may answer besides success, for the OpenAPI document."""


def json_response(shape: BaseModel, status: int = 200) -> Response:
    """A shape as JSON."""
    return Response(shape.model_dump_json(), status, media_type="application/json")


def answer_of(shape: BaseModel, status: int = 200, *, conversation_id: str | None = None) -> Answer:
    """A shape as an answer that an idempotency key may remember."""
    return Answer(status=status, body=shape.model_dump_json(), conversation_id=conversation_id)


def answered(answer: Answer) -> Response:
    """An answer, marked where it was given before."""
    headers = {"Idempotency-Replayed": "true"} if answer.replayed else None
    return Response(answer.body, answer.status, headers, media_type="application/json")


async def _key_of(
    request: Request,
    principal: Annotated[Principal, Depends(caller)],
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            description="Makes a repetition of this request harmless for 24 h.",
        ),
    ] = None,
) -> Key | None:
    if idempotency_key is None:
        return None
    # what an API key was answered is more than a browser may see, so neither is given the other's answers
    scope = () if principal.conversation_id is None else ("web",)
    name: str = request.scope["route"].name
    route = ":".join((*scope, name, *map(str.lower, request.path_params.values())))
    return Key(
        organization_id=principal.organization_id,
        route=route,
        key=idempotency_key,
        body_hash=body_hash(await request.json()),
    )


IdempotencyKey = Annotated[Key | None, Depends(_key_of)]
