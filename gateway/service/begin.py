"""A conversation begins by API: it is created, and the agent may have the first word."""

from gateway.domain.conversation import Conversation, Priority, SessionType
from gateway.domain.identity import Address, ContactKind
from gateway.domain.ids import new_id
from gateway.domain.message import Author, Channel, JsonObject
from gateway.domain.ports import Tx
from gateway.service.accept import Route
from gateway.service.converse import NewConversation, conversation, create
from gateway.service.identify import resolve
from gateway.service.speak import speak


async def begin(
    tx: Tx, new: NewConversation, route: Route, first_message: str | None
) -> tuple[Conversation, bool]:
    """Create a conversation and let the agent say its first message; (it, whether it is new).

    An open one that stands in the way is returned as it is. Raises GatewayError.
    """
    made, created = await create(tx, new, route)
    if not created or first_message is None:
        return made, created
    await speak(tx, made, first_message, Author.AGENT)
    spoken = await conversation(tx, made.organization_id, made.id)
    if spoken is None:
        raise AssertionError("the conversation was created in this unit")
    return spoken, True


async def begin_test(
    tx: Tx, route: Route, *, context_variables: JsonObject, metadata: JsonObject
) -> Conversation:
    """A fresh test conversation with an end user of its own, whom nobody can be mistaken for."""
    nobody = Address(ContactKind.USER, f"test:{new_id()}")
    person = await resolve(tx, route.organization_id, nobody, verified=False, source="test")
    made, _ = await create(
        tx,
        NewConversation(
            end_user_id=person.end_user_id,
            channel=Channel.API,
            our_address=None,
            session_type=SessionType.TEST,
            priority=Priority.NORMAL,
            origin=None,
            external_session_id=None,
            subject=None,
            metadata=metadata,
            context_variables=context_variables,
        ),
        route,
    )
    return made
