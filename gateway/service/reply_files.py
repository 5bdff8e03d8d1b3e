"""The files of a reply are kept before its turn is committed: what the commit refers to is there."""

from dataclasses import replace

from gateway.domain.agent import AgentFailed
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.domain.message import Attachment, ReplyAttachment
from gateway.domain.ports.files import KeepAttachment
from gateway.domain.turn import Reply, ReplyFile, ReplyMessage


class ReplyFiles:
    """Puts what an agent attaches into the attachment store."""

    def __init__(self, keep: KeepAttachment, url: str) -> None:
        """`url`: where attachments are read, without a trailing slash."""
        self._keep = keep
        self._url = url

    async def keep(self, reply: Reply) -> Reply:
        """The reply with its files kept. Raises AgentFailed where one is too large, Unavailable."""
        if not any(message.files for message in reply.messages):
            return reply
        return replace(reply, messages=tuple([await self._kept(message) for message in reply.messages]))

    async def _kept(self, message: ReplyMessage) -> ReplyMessage:
        kept = [await self._keep_one(file) for file in message.files]
        return replace(message, files=(), attachments=tuple(kept))

    async def _keep_one(self, file: ReplyFile) -> ReplyAttachment:
        try:
            kept = await self._keep(file.content, media_type=file.media_type, name=file.name)
        except GatewayError as error:
            if error.code is not ErrorCode.PAYLOAD_TOO_LARGE:
                raise
            raise AgentFailed("an attachment that is larger than GATEWAY_ATTACHMENT_MAX_BYTES") from None
        if kept.sha256 is None:
            raise AssertionError("what is kept has a name in the attachment store")
        shown = Attachment(
            id=kept.id,
            media_type=kept.media_type,
            size=kept.size,
            name=kept.name,
            url=f"{self._url}/{kept.id}",
        )
        return ReplyAttachment(shown, kept.sha256)
