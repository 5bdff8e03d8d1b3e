"""A conversation begins by API: it is created, and the agent may have the first word."""

from collections.abc import Sequence

from gateway.domain.conversation import Conversation, SessionType
from gateway.domain.message import Author, JsonObject
from gateway.domain.ports.store import Tx
from gateway.domain.simulation import Step
from gateway.service.accept import Route
from gateway.service.converse import NewConversation, conversation, create, insert, of_nobody
from gateway.service.simulate import play
from gateway.service.speak import speak


async def begin(
    tx: Tx, new: NewConversation, route: Route, first_message: str | None, script: Sequence[Step] = ()
) -> tuple[Conversation, bool]:
    """Create a conversation and let the agent say its first message; (it, whether it is new).

    The script is that of a simulation, and its replay begins. An open
    one that stands in the way is returned as it is. Raises GatewayError.
    """
    made, created = await create(tx, new, route)
    if not created or (first_message is None and not script):
        return made, created
    if first_message is not None:
        await speak(tx, made, first_message, Author.AGENT, quiet=route.quiet)
    if script:
        await play(tx, made, script, route.partitions)
    spoken = await conversation(tx, made.organization_id, made.id)
    if spoken is None:
        raise AssertionError("the conversation was created in this unit")
    return spoken, True


async def begin_test(
    tx: Tx, route: Route, *, context_variables: JsonObject, metadata: JsonObject
) -> Conversation:
    """A fresh test conversation with an end user of its own, of whom nothing is kept but this id."""
    new = of_nobody(SessionType.TEST, context_variables=context_variables, metadata=metadata)
    made, _ = await insert(tx, new, route, theirs=None)
    return made
