"""Operators: their replies, approvals, and the lists of what waits for a person."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from gateway.api.answers import IdempotencyKey, answer_of, answered, json_response
from gateway.api.auth import OperatorKey, Principal
from gateway.api.cursors import read_position
from gateway.api.deps import ApiDeps, Deps
from gateway.api.reading import ConversationId, CursorText, Limit, not_found
from gateway.api.route import ApiRoute
from gateway.api.schemas.hitl import (
    ApprovalList,
    ApprovalShape,
    HandoffList,
    HandoffShape,
    HumanTurnAnswer,
    HumanTurnBody,
    RelayBody,
    ResolveBody,
    approval_list,
    approval_shape,
    handoff_list,
    handoff_shape,
    human_turn_answer,
)
from gateway.crash import reach
from gateway.domain.crash_point import CrashPoint
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.handoff import ApprovalStatus, Handoff, HandoffStatus
from gateway.domain.ports.store import Row, Tx
from gateway.service.approve import Decision, Resolution, resolve_approval
from gateway.service.browse import approval, approvals_page, handoff, handoffs_page
from gateway.service.converse import messages_since
from gateway.service.desk import claim, give_back, relay, settle
from gateway.service.handoff import HumanTurn, HumanTurnDone, human_turn
from gateway.service.idempotency import Answer, Key, once
from gateway.settings import KeyRole

router = APIRouter(tags=["operators"], route_class=ApiRoute)
"""Within a conversation."""
lists = APIRouter(prefix="/v1/hitl", tags=["operators"], route_class=ApiRoute)

HandoffId = Annotated[UUID, Path(description="The handoff.")]
ApprovalId = Annotated[UUID, Path(description="The approval.")]


@router.post("/{conversation_id}/human-turns", response_model=HumanTurnAnswer)
async def human_turns(
    conversation_id: ConversationId,
    body: HumanTurnBody,
    principal: OperatorKey,
    deps: Deps,
    key: IdempotencyKey,
) -> Response:
    """Say something as an operator, give control back to the agent, or take it.

    409 `not_waiting_for_human`, `claimed_by_other`, `transfer_in_progress`.
    """
    turn = HumanTurn(content=body.content, return_control=body.return_control, take_over=body.take_over)

    async def unit(tx: Tx) -> Answer:
        done = await human_turn(tx, str(conversation_id), principal.operator, turn, deps.partitions)
        answer = answer_of(await _answer(tx, done), conversation_id=done.conversation_id)
        if turn.return_control:
            reach(CrashPoint.HAND_BACK_BEFORE_COMMIT)
        return answer

    answer = await deps.store.write(once, key, unit)
    if turn.return_control:
        reach(CrashPoint.HAND_BACK_AFTER_COMMIT)
    return answered(answer)


async def _answer(tx: Tx, done: HumanTurnDone) -> HumanTurnAnswer:
    if done.message is None:
        return human_turn_answer(done, None)
    stored = await messages_since(tx, done.conversation_id, done.message.seq - 1, 1)
    return human_turn_answer(done, stored[0])


@router.post("/{conversation_id}/approvals/{approval_id}/resolve", response_model=ApprovalShape)
async def resolve(
    conversation_id: ConversationId,
    approval_id: ApprovalId,
    body: ResolveBody,
    principal: OperatorKey,
    deps: Deps,
    key: IdempotencyKey,
) -> Response:
    """Decide on a tool call that waits; what follows shows in the poll.

    403 `approver_role_required`, 409 `already_resolved`.
    """
    resolution = Resolution(decision=Decision(body.decision.value), decided_by=principal.name, note=body.note)

    async def unit(tx: Tx) -> Answer:
        found = await approval(tx, principal.organization_id, str(approval_id))
        if found is None or found["conversation_id"] != str(conversation_id):
            raise not_found("approval of this conversation")
        _check_approver(principal, found)
        row = await resolve_approval(
            tx, principal.organization_id, str(approval_id), resolution, deps.partitions
        )
        reach(CrashPoint.APPROVE_BEFORE_COMMIT)
        return answer_of(approval_shape(row), conversation_id=str(conversation_id))

    answer = await deps.store.write(once, key, unit)
    reach(CrashPoint.APPROVE_AFTER_COMMIT)
    return answered(answer)


def _check_approver(principal: Principal, found: Row) -> None:
    role: str | None = found["approver_role"]
    if role is not None and role not in principal.approver_roles and not principal.may(KeyRole.ADMIN):
        raise GatewayError(
            ErrorCode.APPROVER_ROLE_REQUIRED, f"this approval needs a key with the approver role {role}"
        )


@lists.get("/handoffs", response_model=HandoffList)
async def list_handoffs(
    principal: OperatorKey,
    deps: Deps,
    status: Annotated[list[HandoffStatus] | None, Query(max_length=20)] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """List handoffs, newest first."""
    after = read_position(cursor)
    page = await deps.store.read(handoffs_page, principal.organization_id, status or (), after, limit)
    return json_response(handoff_list(page))


@lists.get("/handoffs/{handoff_id}", response_model=HandoffShape)
async def get_handoff(handoff_id: HandoffId, principal: OperatorKey, deps: Deps) -> Response:
    """Read a handoff."""
    found = await deps.store.read(handoff, principal.organization_id, str(handoff_id))
    if found is None:
        raise not_found("handoff")
    return json_response(handoff_shape(found))


Work = Callable[[Tx], Awaitable[Handoff]]


async def _worked(deps: ApiDeps, key: Key | None, work: Work) -> Response:
    """The handoff as an operator's act has left it."""

    async def unit(tx: Tx) -> Answer:
        done = await work(tx)
        return answer_of(handoff_shape(done), conversation_id=done.conversation_id)

    return answered(await deps.store.write(once, key, unit))


@lists.post("/handoffs/{handoff_id}/claim", response_model=HandoffShape)
async def claim_handoff(
    handoff_id: HandoffId, principal: OperatorKey, deps: Deps, key: IdempotencyKey
) -> Response:
    """Take a handoff; again by the same key changes nothing.

    409 `claimed_by_other` (an admin takes it over), `transfer_in_progress`, `not_waiting_for_human`.
    """
    return await _worked(deps, key, lambda tx: claim(tx, str(handoff_id), principal.operator))


@lists.post("/handoffs/{handoff_id}/messages", response_model=HandoffShape)
async def relay_message(
    handoff_id: HandoffId, body: RelayBody, principal: OperatorKey, deps: Deps, key: IdempotencyKey
) -> Response:
    """Say something to the end user, in the conversation's channel."""
    return await _worked(
        deps,
        key,
        lambda tx: relay(tx, str(handoff_id), principal.operator, body.content, deps.partitions),
    )


@lists.post("/handoffs/{handoff_id}/return", response_model=HandoffShape)
async def return_handoff(
    handoff_id: HandoffId, principal: OperatorKey, deps: Deps, key: IdempotencyKey
) -> Response:
    """Give the conversation back to the agent, who answers what has queued up."""
    return await _worked(
        deps, key, lambda tx: give_back(tx, str(handoff_id), principal.operator, deps.partitions)
    )


@lists.post("/handoffs/{handoff_id}/resolve", response_model=HandoffShape)
async def resolve_handoff(
    handoff_id: HandoffId, principal: OperatorKey, deps: Deps, key: IdempotencyKey
) -> Response:
    """Settle the matter: the conversation is closed."""
    return await _worked(
        deps, key, lambda tx: settle(tx, str(handoff_id), principal.operator, deps.partitions)
    )


@lists.get("/approvals", response_model=ApprovalList)
async def list_approvals(
    principal: OperatorKey,
    deps: Deps,
    status: Annotated[list[ApprovalStatus] | None, Query(max_length=20)] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """List approvals, oldest first."""
    after = read_position(cursor)
    page = await deps.store.read(approvals_page, principal.organization_id, status or (), after, limit)
    return json_response(approval_list(page))


@lists.get("/approvals/{approval_id}", response_model=ApprovalShape)
async def get_approval(approval_id: ApprovalId, principal: OperatorKey, deps: Deps) -> Response:
    """Read an approval."""
    found = await deps.store.read(approval, principal.organization_id, str(approval_id))
    if found is None:
        raise not_found("approval")
    return json_response(approval_shape(found))
