"""The message that a machine is left at Twilio: whoever comes for it is not sent there again."""

from xml.etree import ElementTree

from channels.voice.outgoing import MESSAGE_PATH
from channels.voice.outgoing_routes import outgoing_routes
from gateway.domain.call_rules import CallTexts
from gateway.domain.ids import new_id
from tests.integration.webhooks import ACCOUNT, OURS, THEIRS, site

SID = "CA" + "0" * 32


async def test_a_call_that_comes_for_the_message_has_been_sent_there() -> None:
    conversation_id = new_id()
    form = {"CallSid": SID, "AccountSid": ACCOUNT, "From": OURS, "To": THEIRS, "Direction": "outbound-api"}
    async with site(outgoing_routes) as served:
        answer = await served.post(f"{MESSAGE_PATH}?c={conversation_id}", form)
        assert served.core.calls.left == [(conversation_id, SID)]
        assert [one.text for one in served.core.messages.values()] == [CallTexts().machine]
    said, hangs_up = ElementTree.fromstring(answer.body)
    assert (said.text, hangs_up.tag) == (CallTexts().machine, "Hangup")
