"""A phone call: greeting, a question and its answer, and a transfer to a person."""

from typing import Final

from gateway.demo.expect import expect
from gateway.demo.page import Page, Speaker
from gateway.demo.stage import CONVERSATIONS, OUR_NUMBER, TRANSFER_TO, Stage

CALLER: Final = "+15550163"
_QUESTION: Final = "When are you open?"
_WISH: Final = "Please transfer me to billing."


async def phone_call(stage: Stage, page: Page) -> None:
    """Twilio asks what to do at each step, as TwiML; the transfer ends with the person hanging up."""
    page.heading("Phone call", f"{CALLER} calls {OUR_NUMBER}; the TwiML is walked by the bundled fake")
    call = await stage.twilio.call(CALLER, OUR_NUMBER)
    expect("what is listened for after the greeting", call.listening, frozenset({"speech", "dtmf"}))
    expect("texts of the greeting", len(call.said), 1)
    page.said(Speaker.AGENT, call.said[0])

    page.said(Speaker.PERSON, _QUESTION)
    await call.say(_QUESTION)
    expect("answer on the phone", call.said[1:], [f"You said: {_QUESTION}"])
    page.said(Speaker.AGENT, call.said[-1])

    page.said(Speaker.PERSON, _WISH)
    await call.say(_WISH)
    expect("what the call was connected to", (call.dialing, call.dialed), (True, [TRANSFER_TO]))
    expect("texts before the transfer", len(call.said), 3)
    page.said(Speaker.AGENT, call.said[-1])
    page.checked(f"<Dial> to {call.dialed[0]}, the destination that gateway.toml calls billing")

    await call.dial_ended("completed")
    expect("end of the call", (call.ended, call.status.value, call.error), (True, "completed", ""))
    listed = await stage.client.get(f"{CONVERSATIONS}?channel=voice")
    expect("status of the call's conversation", [c["status"] for c in listed["items"]], ["closed"])
    said = [m["content"] for m in await stage.messages_of(listed["items"][0]) if m["role"] == "user"]
    expect("what the caller said, in the transcript", said, [_QUESTION, _WISH])
    page.checked("the two talked; the call is over and its conversation closed, with a transcript")
