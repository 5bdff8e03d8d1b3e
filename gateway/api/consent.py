"""Operators see who is not written to and why, add to it and lift it; the ledger keeps every wish."""

import re
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from gateway.api.answers import IdempotencyKey, answer_of, answered, json_response
from gateway.api.auth import OperatorKey
from gateway.api.cursors import read_position
from gateway.api.deps import Deps
from gateway.api.reading import CursorText, Limit, not_found
from gateway.api.route import ApiRoute
from gateway.api.schemas.consent import (
    ConsentList,
    SuppressBody,
    SuppressionList,
    SuppressionShape,
    consent_list,
    suppression_list,
    suppression_shape,
)
from gateway.domain.consent import ConsentSource, Evidence
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.identity import ContactKind, address_of
from gateway.domain.message import Channel
from gateway.domain.ports.store import Tx
from gateway.service.consent import consents_page, revoke, take_back
from gateway.service.idempotency import Answer, once
from gateway.service.suppress import ANY, suppression_of, suppressions_page

router = APIRouter(prefix="/v1", tags=["consent"], route_class=ApiRoute)

_NO_NUMBER = re.compile(r"[a-z]{2,16}:[!-~]{1,200}|[0-9]{3,8}")
"""What is kept as it comes: `whatsapp:+…`, `shortcode:…`, and a short code of ours."""

SuppressionId = Annotated[UUID, Path(description="The suppression.")]
TheirAddress = Annotated[
    str | None, Query(max_length=255, description="Only of this address; needs `channel`.")
]
OfChannel = Annotated[Channel | None, Query(description="The channel of `their_address`.")]


def _canonical(channel: Channel, address: str) -> str:
    """An address of theirs, or of ours, as it is stored. Raises GatewayError `invalid_identifier`."""
    if channel is Channel.SMS and _NO_NUMBER.fullmatch(address):
        return address
    found = address_of(channel, address)
    if found.kind is ContactKind.USER:
        raise GatewayError(
            ErrorCode.INVALID_IDENTIFIER, "nobody is written to on api and web; choose sms, email or voice"
        )
    return found.value


def _of(channel: Channel | None, their_address: str | None) -> tuple[Channel, str] | None:
    if their_address is None:
        return None
    if channel is None:
        raise GatewayError(ErrorCode.VALIDATION_ERROR, "their_address needs its channel")
    return channel, _canonical(channel, their_address)


@router.get("/suppressions", response_model=SuppressionList)
async def list_suppressions(
    principal: OperatorKey,
    deps: Deps,
    channel: OfChannel = None,
    their_address: TheirAddress = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """List who is not written to, newest first."""
    after = read_position(cursor)
    of = _of(channel, their_address)
    page = await deps.store.read(suppressions_page, principal.organization_id, of, after, limit)
    return json_response(suppression_list(page))


@router.post(
    "/suppressions",
    status_code=201,
    response_model=SuppressionShape,
    responses={200: {"model": SuppressionShape, "description": "It was in force already."}},
)
async def add_suppression(
    body: SuppressBody, principal: OperatorKey, deps: Deps, key: IdempotencyKey
) -> Response:
    """Have somebody not written to any more, whatever waits to be sent already; a START does not lift it."""
    channel = body.channel
    ours = ANY if body.our_address is None else _canonical(channel, body.our_address)
    pair = (ours, _canonical(channel, body.their_address))
    evidence = Evidence(source=ConsentSource.OPERATOR, detail=body.reason, actor=principal.name)

    async def unit(tx: Tx) -> Answer:
        is_new = await revoke(tx, principal.organization_id, channel, pair, evidence)
        found = await suppression_of(tx, principal.organization_id, channel, pair)
        if found is None:
            raise AssertionError("the suppression was made in this unit")
        return answer_of(suppression_shape(found), 201 if is_new else 200)

    return answered(await deps.store.write(once, key, unit))


@router.delete("/suppressions/{suppression_id}", status_code=204)
async def lift_suppression(suppression_id: SuppressionId, principal: OperatorKey, deps: Deps) -> Response:
    """Lift a suppression, whatever it came from. A `derived` one is lifted with what it follows from."""
    evidence = Evidence(source=ConsentSource.OPERATOR, actor=principal.name)
    organization_id = principal.organization_id
    if not await deps.store.write(take_back, organization_id, str(suppression_id), evidence):
        raise not_found("suppression that is in force for this very address")
    return Response(status_code=204)


@router.get("/consents", response_model=ConsentList)
async def list_consents(
    principal: OperatorKey,
    deps: Deps,
    channel: OfChannel = None,
    their_address: TheirAddress = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """Read the ledger: every wish to be written to or not, with what shows it, newest first."""
    after = read_position(cursor)
    of = _of(channel, their_address)
    page = await deps.store.read(consents_page, principal.organization_id, of, after, limit)
    return json_response(consent_list(page))
