"""A person's conversations across channels, also those of records that were merged."""

from gateway.domain.conversation import Conversation
from gateway.domain.ports.store import Tx
from gateway.service.browse import ConversationFilter, Page, Position, conversations_page
from gateway.service.people import known_person


async def person_conversations(
    tx: Tx, organization_id: str, end_user_id: str, after: Position | None, limit: int
) -> Page[Conversation]:
    """All conversations of the person a record is of, newest first. Raises GatewayError `not_found`."""
    person = await known_person(tx, organization_id, end_user_id)
    pages = [
        await conversations_page(tx, organization_id, ConversationFilter(end_user_id=record), after, limit)
        for record in person.records
    ]
    found = sorted(
        (item for page in pages for item in page.items), key=lambda c: (c.created_at, c.id), reverse=True
    )
    items = tuple(found[:limit])
    has_more = len(found) > limit or any(page.has_more for page in pages)
    return Page(items, has_more, Position(items[-1].created_at, items[-1].id) if items else after)
