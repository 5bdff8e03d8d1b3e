"""People and agents as clients see them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field

from gateway.api.schemas import desk_examples, examples
from gateway.api.schemas.common import Cursor, HasMore, Request, Shape, Time, Uuid, example, time_of
from gateway.domain.brake import Pause
from gateway.domain.clock import rfc3339
from gateway.domain.identity import UNVERIFIED, ContactKind
from gateway.domain.message import Channel
from gateway.service.identify import Contact, EndUser
from gateway.settings import AgentKind, GatewayConfig

_CHANNEL_OF_KIND = {
    ContactKind.PHONE: Channel.SMS,
    ContactKind.EMAIL: Channel.EMAIL,
    ContactKind.USER: Channel.API,
}


class ResolveIdentityBody(Request):
    """An address of a person."""

    model_config = ConfigDict(json_schema_extra={"example": {"channel": "sms", "identifier": "+14155550123"}})

    channel: Channel
    identifier: str = Field(description="A number in E.164, a mailbox, or your own user id (api, web).")


class ProfileBody(Request):
    """A change to a profile."""

    model_config = ConfigDict(json_schema_extra={"example": {"profile": {"name": "Alex", "plan": None}}})

    profile: dict[str, Any] = Field(
        description="A merge patch (RFC 7396): null takes a member away, objects are merged."
    )


class ContactBody(Request):
    """An address that was verified to be a person's."""

    model_config = ConfigDict(json_schema_extra={"example": {"channel": "email", "value": "ada@example.com"}})

    channel: Channel
    value: str = Field(description="A number in E.164, a mailbox, or your own user id (api, web).")


class MergeBody(Request):
    """Which record turned out to be the same person."""

    model_config = example({"from_end_user_id": "018f7ea4-6071-7283-8495-a0b1c2d3e4f6"})

    from_end_user_id: UUID


class UnmergeBody(Request):
    """Which record is a person of its own after all."""

    model_config = example({"from_end_user_id": "018f7ea4-6071-7283-8495-a0b1c2d3e4f6"})

    from_end_user_id: UUID | None = Field(
        default=None, description="The merged record; without it, the one in the path is."
    )


class ContactShape(Shape):
    """An address of an end user; a number is one record for sms and voice."""

    channel: Channel
    value: str
    verified: bool
    source: str
    created_at: Time


class EndUserShape(Shape):
    """A person, with the addresses known of them."""

    model_config = example(examples.END_USER)

    end_user_id: Uuid
    profile: dict[str, Any]
    contacts: list[ContactShape]
    created_at: Time
    merged_into: Uuid | None = Field(description="The record this one was merged into, and answers as.")
    erased_at: Time | None = Field(description="The person was erased; nothing but this remains.")


class ResolvedShape(Shape):
    """The end user behind an address, found or created."""

    model_config = example(examples.RESOLVED)

    end_user_id: Uuid
    created: bool
    profile: dict[str, Any]
    contacts: list[ContactShape]


class AgentShape(Shape):
    """An agent of gateway.toml."""

    model_config = example(desk_examples.AGENT)

    id: Uuid
    slug: str
    kind: AgentKind
    revision_id: str
    default: bool = Field(description="Whether it answers where nothing else says.")
    paused_since: Time | None = Field(
        description="It is paused, or the whole organisation is: what comes in waits. null: it answers."
    )


class AgentList(Shape):
    """The agents, in the order of gateway.toml."""

    model_config = example({**examples.page(desk_examples.AGENT), "has_more": False, "next_cursor": None})

    items: list[AgentShape]
    has_more: HasMore
    next_cursor: Cursor


def _contact(contact: Contact) -> ContactShape:
    return ContactShape.model_construct(
        channel=_CHANNEL_OF_KIND[ContactKind(contact.kind)],
        value=contact.value.removeprefix(UNVERIFIED),
        verified=contact.verified,
        source=contact.source,
        created_at=rfc3339(contact.created_at),
    )


def end_user_shape(person: EndUser) -> EndUserShape:
    """An end user."""
    return EndUserShape.model_construct(
        end_user_id=person.id,
        profile=person.profile,
        contacts=[_contact(contact) for contact in person.contacts],
        created_at=rfc3339(person.created_at),
        merged_into=person.merged_into,
        erased_at=time_of(person.erased_at),
    )


def resolved_shape(person: EndUser, *, created: bool) -> ResolvedShape:
    """An end user as `resolve` answers it."""
    return ResolvedShape.model_construct(
        end_user_id=person.id,
        created=created,
        profile=person.profile,
        contacts=[_contact(contact) for contact in person.contacts],
    )


def agent_list(config: GatewayConfig, pauses: Sequence[Pause]) -> AgentList:
    """All agents on one page."""
    since = {pause.subject_id: pause.set_at for pause in pauses}
    everything = since.get(config.organization_id)
    default = config.default_agent()
    return AgentList.model_construct(
        items=[
            AgentShape.model_construct(
                id=agent.id,
                slug=agent.slug,
                kind=agent.kind,
                revision_id=agent.revision_id,
                default=agent == default,
                paused_since=time_of(since.get(agent.id, everything)),
            )
            for agent in config.agents.values()
        ],
        has_more=False,
        next_cursor=None,
    )


NO_AGENTS = AgentList(items=[], has_more=False, next_cursor=None)
