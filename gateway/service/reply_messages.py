"""The messages a reply becomes, before they are stored."""

from dataclasses import asdict, dataclass

from gateway.domain.ids import new_id
from gateway.domain.message import Attachment, Author, JsonObject, Message, ReplyAttachment, Role, ToolCall
from gateway.domain.turn import Claim, Path, Reply


@dataclass(frozen=True, slots=True)
class Content:
    """A row a reply becomes."""

    role: Role
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    attachments: tuple[ReplyAttachment, ...] = ()

    def shown(self) -> tuple[Attachment, ...]:
        """The attachments as everybody knows them."""
        return tuple(one.shown for one in self.attachments)


def contents_of(reply: Reply) -> list[Content]:
    """The agent's messages, and a notice where control goes to a person."""
    contents = [Content(Role.ASSISTANT, m.text, m.tool_calls, m.attachments) for m in reply.messages]
    if reply.path is Path.HANDOFF:
        reason = f": {reply.handoff_reason}" if reply.handoff_reason else ""
        contents.append(Content(Role.SYSTEM, f"The conversation was handed to a person{reason}"))
    return contents


def message_of_turn(claim: Claim, reply: Reply, seq: int, content: Content, *, newest: bool) -> Message:
    """A message of the turn; `newest`: the last the agent said, which carries what the reply cost."""
    spoken = content.role is Role.ASSISTANT
    delivered = spoken and bool(content.text) and claim.conversation.channel.delivers
    return Message(
        id=new_id(),
        conversation_id=claim.conversation.id,
        seq=seq,
        turn_id=claim.turn_id,
        role=content.role,
        content=content.text,
        author=Author.AGENT if spoken else Author.SYSTEM,
        created_at=0,
        tool_calls=content.tool_calls,
        model_used=reply.model_used if spoken else None,
        input_tokens=reply.input_tokens if newest else None,
        output_tokens=reply.output_tokens if newest else None,
        latency_ms=reply.latency_ms if spoken else None,
        delivery_status="pending" if delivered else None,
        attachments=content.shown(),
        evidence=reply.evidence if spoken else (),
        metadata=_told_of(reply, content),
    )


def _told_of(reply: Reply, content: Content) -> JsonObject:
    """What a client may want to know of a message besides."""
    told: JsonObject = {}
    if content.attachments:
        told["attachments"] = [asdict(one) for one in content.shown()]
    if content.role is Role.ASSISTANT and reply.policies:
        told["policies"] = list(reply.policies)
    return told
