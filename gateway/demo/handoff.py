"""A handoff: the agent lets go, a person answers in the same thread, and gives control back."""

from typing import Final

from gateway.demo.expect import expect, expect_that
from gateway.demo.page import Page, Speaker
from gateway.demo.stage import OPERATOR_NAME, OUR_NUMBER, Stage

LIN: Final = "+15550187"
_WISH: Final = "Can I talk to a human please?"
_MORE: Final = "It is about a broken lamp."
_HELP: Final = f"Hi, this is {OPERATOR_NAME}. A new lamp is on its way to you."
_BACK: Final = "Great! Which address do you have?"


async def handoff(stage: Stage, page: Page) -> None:
    """Lin asks for a person, who answers by API; what came meanwhile is answered when the agent is back."""
    page.heading("Handoff", f"{LIN} texts {OUR_NUMBER}, and {OPERATOR_NAME} takes over")
    await stage.twilio.text(LIN, OUR_NUMBER, _WISH)
    page.said(Speaker.PERSON, _WISH)
    line = (await stage.texts_to(LIN, 1))[0]
    expect_that("the agent says that it hands over", "a person" in line.body, line.body)
    page.said(Speaker.AGENT, line.body)

    conversation = await stage.conversation_with(LIN)
    expect("status after the handoff", conversation["status"], "waiting_for_human")
    turns = f"/v1/conversations/{conversation['id']}/human-turns"
    await stage.twilio.text(LIN, OUR_NUMBER, _MORE)
    page.said(Speaker.PERSON, _MORE)
    answered = await stage.operator.post(turns, {"content": _HELP})
    expect("status while a person answers", answered["session_status"], "waiting_for_human")
    help_text = (await stage.texts_to(LIN, 2))[1]
    expect("what the operator wrote, on the phone", help_text.body, _HELP)
    page.said(Speaker.OPERATOR, help_text.body)
    page.checked("the agent kept silent; the operator's words came from the same number")

    returned = await stage.operator.post(turns, {"return_control": True})
    expect("status after control was returned", returned["session_status"], "active")
    caught_up = (await stage.texts_to(LIN, 3))[2]
    expect("what was queued is answered", caught_up.body, f"You said: {_MORE}")
    page.said(Speaker.AGENT, caught_up.body)
    await stage.twilio.text(LIN, OUR_NUMBER, _BACK)
    page.said(Speaker.PERSON, _BACK)
    back = (await stage.texts_to(LIN, 4))[3]
    expect("the agent is back", back.body, f"You said: {_BACK}")
    page.said(Speaker.AGENT, back.body)
    page.checked("control returned: what waited was answered, and the agent goes on")
