"""People and agents: an address resolves to its end user, records are merged; which agents there are."""

from dataclasses import replace

from fastapi import APIRouter
from starlette.responses import Response

from gateway.api.answers import IdempotencyKey, answer_of, answered, json_response
from gateway.api.auth import Admin, Client, OperatorKey
from gateway.api.cursors import read_position
from gateway.api.deps import Deps
from gateway.api.reading import CursorText, EndUserId, Limit, not_found
from gateway.api.route import ApiRoute
from gateway.api.schemas.conversations import ConversationList, conversation_list
from gateway.api.schemas.identity import (
    NO_AGENTS,
    AgentList,
    ContactBody,
    EndUserShape,
    MergeBody,
    ProfileBody,
    ResolvedShape,
    ResolveIdentityBody,
    UnmergeBody,
    agent_list,
    end_user_shape,
    resolved_shape,
)
from gateway.domain.identity import ContactKind, address_of
from gateway.domain.ports.store import Tx
from gateway.service.brake import pauses_of
from gateway.service.erase import request_erasure
from gateway.service.history import person_conversations
from gateway.service.idempotency import Answer, once
from gateway.service.identify import EndUser, end_user, resolve
from gateway.service.merge import merge, unmerge, unmerge_from
from gateway.service.people import attach_contact, patch_profile

router = APIRouter(prefix="/v1", tags=["identity"], route_class=ApiRoute)


def _quoting(shape: EndUserShape | ResolvedShape, person: EndUser, status: int = 200) -> Answer:
    """An answer that is forgotten with the person it quotes."""
    return replace(answer_of(shape, status), end_user_id=person.id)


@router.post("/identity/resolve", response_model=ResolvedShape)
async def resolve_identity(
    body: ResolveIdentityBody, principal: Client, deps: Deps, key: IdempotencyKey
) -> Response:
    """Find the end user of an address, or create one. 422 `invalid_identifier`."""
    address = address_of(body.channel, body.identifier)
    # a client vouches for its own user ids; an address is proven by who writes from it
    verified = address.kind is ContactKind.USER

    async def unit(tx: Tx) -> Answer:
        organization_id = principal.organization_id
        found = await resolve(tx, organization_id, address, verified=verified, source="api")
        person = await end_user(tx, organization_id, found.end_user_id)
        if person is None:
            raise AssertionError("the end user was resolved in this unit")
        return _quoting(resolved_shape(person, created=found.created), person)

    return answered(await deps.store.write(once, key, unit))


@router.get("/identity/end-users/{end_user_id}", response_model=EndUserShape)
async def get_end_user(end_user_id: EndUserId, principal: Client, deps: Deps) -> Response:
    """Read an end user's profile and contacts."""
    person = await deps.store.read(end_user, principal.organization_id, str(end_user_id))
    if person is None:
        raise not_found("end user")
    return json_response(end_user_shape(person))


@router.patch("/identity/end-users/{end_user_id}", response_model=EndUserShape)
async def patch_end_user(
    end_user_id: EndUserId, body: ProfileBody, principal: OperatorKey, deps: Deps
) -> Response:
    """Change an end user's profile by a merge patch (RFC 7396); at most 16 KiB."""
    person = await deps.store.write(patch_profile, principal.organization_id, str(end_user_id), body.profile)
    return json_response(end_user_shape(person))


@router.delete("/identity/end-users/{end_user_id}", status_code=204)
async def erase_end_user(end_user_id: EndUserId, principal: Admin, deps: Deps) -> Response:
    """Erase a person, with all records that are merged: what was said, kept and sent of them is deleted.

    With the answer the person is gone, their addresses are nobody's, and nothing more is sent to them. What
    was said is deleted in the seconds after. `erased_at` remains, and whom not to write to.
    """
    await deps.store.write(request_erasure, principal.organization_id, str(end_user_id), deps.partitions)
    return Response(status_code=204)


@router.get("/identity/end-users/{end_user_id}/conversations", response_model=ConversationList)
async def list_conversations_of_end_user(
    end_user_id: EndUserId,
    principal: Client,
    deps: Deps,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """List a person's conversations on all channels, newest first, with those of merged records."""
    after = read_position(cursor)
    page = await deps.store.read(
        person_conversations, principal.organization_id, str(end_user_id), after, limit
    )
    return json_response(conversation_list(page))


@router.post(
    "/identity/end-users/{end_user_id}/contacts",
    status_code=201,
    response_model=EndUserShape,
    responses={200: {"model": EndUserShape, "description": "It was this person's already."}},
)
async def attach_contact_to_end_user(
    end_user_id: EndUserId, body: ContactBody, principal: OperatorKey, deps: Deps, key: IdempotencyKey
) -> Response:
    """Attach an address that was verified. 409 `contact_in_use` where it is another person's."""
    address = address_of(body.channel, body.value)

    async def unit(tx: Tx) -> Answer:
        person, is_new = await attach_contact(
            tx, principal.organization_id, str(end_user_id), address, source="operator"
        )
        return _quoting(end_user_shape(person), person, 201 if is_new else 200)

    return answered(await deps.store.write(once, key, unit))


@router.post("/identity/end-users/{end_user_id}/merge", response_model=EndUserShape)
async def merge_end_users(
    end_user_id: EndUserId, body: MergeBody, principal: Admin, deps: Deps, key: IdempotencyKey
) -> Response:
    """Merge another record into this one, reversibly. 409 `invalid_merge`."""

    async def unit(tx: Tx) -> Answer:
        organization_id = principal.organization_id
        person = await merge(tx, organization_id, str(end_user_id), str(body.from_end_user_id))
        return _quoting(end_user_shape(person), person)

    return answered(await deps.store.write(once, key, unit))


@router.post("/identity/end-users/{end_user_id}/unmerge", response_model=EndUserShape)
async def unmerge_end_users(
    end_user_id: EndUserId,
    principal: Admin,
    deps: Deps,
    key: IdempotencyKey,
    body: UnmergeBody | None = None,
) -> Response:
    """Separate a merged record again: `from_end_user_id`, else the one in the path. 409 `invalid_merge`."""
    merged = body.from_end_user_id if body is not None else None

    async def unit(tx: Tx) -> Answer:
        organization_id = principal.organization_id
        if merged is None:
            person = await unmerge(tx, organization_id, str(end_user_id))
        else:
            person = await unmerge_from(tx, organization_id, str(end_user_id), str(merged))
        return _quoting(end_user_shape(person), person)

    return answered(await deps.store.write(once, key, unit))


@router.get("/agents", response_model=AgentList, tags=["agents"])
async def list_agents(principal: Client, deps: Deps) -> Response:
    """List the agents of gateway.toml."""
    config = deps.config()
    if config.organization_id != principal.organization_id:
        return json_response(NO_AGENTS)
    pauses = await deps.store.read(pauses_of, principal.organization_id)
    return json_response(agent_list(config, pauses))
