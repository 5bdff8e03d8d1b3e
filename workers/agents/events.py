"""What an agent yields, checked: one `AgentEvent` of a parsed object, or AgentFailed without its content."""

from pydantic import ValidationError

from gateway.domain.agent import AGENT_EVENT, AgentEvent, AgentFailed


def read_event(raw: object) -> AgentEvent:
    """An event given as such, or as its fields with the event's name as `type`.

    The reason of AgentFailed names the field and what rule it breaks, never what was in it.
    """
    try:
        return AGENT_EVENT.validate_python(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise AgentFailed(f"an event that is not valid: {place or 'type'} ({first['type']})") from None
