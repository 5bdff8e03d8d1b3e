"""SMS: a signed webhook in, a reply at Twilio out, once per message, in order, and cut where it is long."""

import re
from typing import Final

from gateway.demo.expect import Mismatch, expect
from gateway.demo.page import Page, Speaker
from gateway.demo.stage import OUR_NUMBER, Stage

ADA: Final = "+15550142"
HELLO: Final = "Hello, do you deliver to Turin?"
_AGAIN: Final = "And on Saturdays?"
_LONG: Final = "Tell me the long version."
_GLANCE: Final = 60
"""Characters of a long part that are shown."""


async def texts(stage: Stage, page: Page) -> None:
    """Ada texts us; Twilio repeats itself; somebody forges a webhook; a long reply comes in parts."""
    page.heading("SMS", f"{ADA} texts {OUR_NUMBER}; Twilio is the bundled fake")
    await _forged(stage)

    answer = await stage.twilio.text(ADA, OUR_NUMBER, HELLO)
    expect("answer to the SMS webhook", answer.status, 200)
    page.said(Speaker.PERSON, HELLO)
    first = (await stage.texts_to(ADA, 1))[0]
    expect("reply to the first text", first.body, f"You said: {HELLO}")
    page.said(Speaker.AGENT, first.body)

    again = await stage.twilio.text(ADA, OUR_NUMBER, HELLO, MessageSid=stage.twilio.inbound[-1].sid)
    expect("answer to the repeated webhook", again.status, 200)
    await stage.twilio.text(ADA, OUR_NUMBER, _AGAIN)
    page.said(Speaker.PERSON, _AGAIN)
    second = (await stage.texts_to(ADA, 2))[1]
    expect("reply after a repeated webhook", second.body, f"You said: {_AGAIN}")
    page.said(Speaker.AGENT, second.body)
    page.checked("a forged webhook was refused with 403; a webhook that came twice was answered once")
    await _long_reply(stage, page)


async def _forged(stage: Stage) -> None:
    """A webhook that is not Twilio's."""
    form = {"MessageSid": f"SM{'0' * 32}", "From": ADA, "To": OUR_NUMBER, "Body": "forged"}
    async with stage.http.post(
        f"{stage.app.http_url}/webhooks/twilio/sms", data=form, headers={"X-Twilio-Signature": "forged"}
    ) as answer:
        expect("answer to a forged webhook", answer.status, 403)


async def _long_reply(stage: Stage, page: Page) -> None:
    """More text than an SMS holds; then the transcript says what became of everything."""
    await stage.twilio.text(ADA, OUR_NUMBER, _LONG)
    page.said(Speaker.PERSON, _LONG)
    first = (await stage.texts_to(ADA, 3))[2].body
    numbered = re.match(r"\(1/(\d+)\) ", first)
    if numbered is None:
        raise Mismatch(f"a long reply is sent in numbered parts: not so, saw {first[:80]!r}")
    count = int(numbered[1])
    parts = (await stage.texts_to(ADA, 2 + count))[2:]
    heads = [part.body.partition(" ")[0] for part in parts]
    expect("numbers of the parts", heads, [f"({n}/{count})" for n in range(1, count + 1)])
    for part in parts:
        page.said(Speaker.AGENT, f"{part.body[:_GLANCE]}… ({len(part.body)} characters)")

    await stage.twilio.callbacks.settled()
    expect("callbacks that were refused", stage.twilio.callbacks.failed, 0)
    expect("statuses of the texts", {text.status for text in stage.twilio.by_pair(ADA)}, {"delivered"})
    messages = await stage.messages_of(await stage.conversation_with(ADA))
    expect(
        "transcript",
        [(message["role"], message["delivery_status"]) for message in messages],
        [("user", None), ("assistant", "delivered")] * 3,
    )
    page.checked(f"{len(parts)} parts in order; Twilio's callbacks made every reply `delivered`")
