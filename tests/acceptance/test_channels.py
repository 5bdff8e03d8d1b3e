"""Texts, mails and calls: in, answered by the agent, and out again by the same way."""

import asyncio
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import make_msgid, parseaddr
from typing import Any

import pytest

from channels.email.fake import SunkMail
from tests.acceptance.conftest import CONVERSATIONS, Site, until
from tests.deployments import DEMO_NUMBER, MAILBOX, QUOTE_NUMBER, TRANSFER_NUMBER

pytestmark = pytest.mark.asyncio(loop_scope="session")

_POLICY = SMTP.clone(max_line_length=998)
"""Python would encode a long Message-ID rather than leave its line long; mail clients do not."""


async def _statuses(site: Site, conversation_id: str) -> list[str | None]:
    messages = await site.messages(conversation_id)
    return [m["delivery_status"] for m in messages if m["role"] == "assistant"]


async def test_a_text_is_answered_and_its_receipts_show_in_the_poll(site: Site) -> None:
    number = site.number()
    assert (await site.twilio.text(number, DEMO_NUMBER, "Hello there")).status == 200
    (reply,) = await site.texts_to(number, 1)
    assert (reply.body, reply.from_) == ("You said: Hello there", DEMO_NUMBER)

    conversation_id = await site.conversation_with(number, DEMO_NUMBER)

    async def delivered() -> bool:
        return await _statuses(site, conversation_id) == ["delivered"]

    await until(delivered, "the receipt to show in the poll")
    one = await site.get(f"{CONVERSATIONS}/{conversation_id}")
    assert (one["channel"], one["origin"], one["status"]) == ("sms", "inbound", "active")
    assert [row["content"] for row in one["recent_turns"]] == ["Hello there", "You said: Hello there"]

    await site.twilio.text(number, DEMO_NUMBER, "And again")
    assert [text.body for text in await site.texts_to(number, 2)][1] == "You said: And again"
    assert await site.conversation_with(number, DEMO_NUMBER) == conversation_id


async def test_a_text_that_is_not_delivered_says_so(site: Site) -> None:
    number = site.number()
    site.twilio.statuses_for(number, ["queued", "sent", "undelivered:30005"])
    await site.twilio.text(number, DEMO_NUMBER, "Anybody?")
    await site.texts_to(number, 1)
    conversation_id = await site.conversation_with(number, DEMO_NUMBER)

    async def failed() -> bool:
        return await _statuses(site, conversation_id) == ["failed"]

    await until(failed, "the failure to show in the poll")


async def test_a_long_reply_arrives_in_parts_and_in_order(site: Site) -> None:
    number = site.number()
    await site.twilio.text(number, DEMO_NUMBER, "Tell me something long")
    parts = await site.texts_to(number, 3)
    places = [next(p for p in range(1, 9) if f"paragraph {p} " in text.body) for text in parts[:2]]
    assert places == sorted(places)
    conversation_id = await site.conversation_with(number, DEMO_NUMBER)

    async def delivered() -> bool:
        return await _statuses(site, conversation_id) == ["delivered"]

    await until(delivered, "all parts to be delivered")


async def test_one_message_delivered_five_times_at_once_is_one_turn(site: Site) -> None:
    number, sid = site.number(), "SM" + "5" * 24 + site.number()[-8:]
    urls = site.deployment.urls
    answers = await asyncio.gather(
        *(
            site.twilio.text(number, QUOTE_NUMBER, "once", via=urls[n % len(urls)], MessageSid=sid)
            for n in range(5)
        )
    )
    assert [answer.status for answer in answers] == [200] * 5
    await site.texts_to(number, 1)
    conversation_id = await site.conversation_with(number, QUOTE_NUMBER)
    assert [m["content"] for m in await site.messages(conversation_id)] == ["once", "<once>"]

    await site.twilio.text(number, QUOTE_NUMBER, "twice")
    assert [text.body for text in await site.texts_to(number, 2)] == ["<once>", "<twice>"]


async def test_three_rounds_of_mail_are_one_thread(site: Site) -> None:
    address = f"grace{site.number()[-4:]}@customer.example"
    ids: list[str] = []
    to, subject, references = MAILBOX, "Order 1001", ""
    conversations: set[str] = set()
    for round_, text in enumerate(("Where is my order?", "Leave it at the door.", "Thanks!"), 1):
        mail = _mail(address, to, subject, text)
        if ids:
            mail["In-Reply-To"] = ids[-1]
            mail["References"] = references
        await site.send_mail(mail)
        reply = (await site.mails_to(address, round_))[-1]
        headers = reply.headers
        ids += [str(mail["Message-ID"]), str(headers["Message-ID"])]
        assert headers["In-Reply-To"] == mail["Message-ID"]
        assert str(headers["References"]).split() == ids[:-1]
        assert headers["Subject"] == "Re: Order 1001"
        assert parseaddr(str(headers["From"]))[1] == MAILBOX
        assert parseaddr(str(headers["To"]))[1] == address
        assert _text(reply).startswith(f"You said: {text}")
        to = parseaddr(str(headers["Reply-To"]))[1]
        subject = str(headers["Subject"])
        references = " ".join(ids)
        conversations.add((await _mail_conversation(site, address))["id"])
    assert len(conversations) == 1
    messages = await site.messages(conversations.pop())
    assert [m["content"] for m in messages if m["role"] == "user"] == [
        "Where is my order?",
        "Leave it at the door.",
        "Thanks!",
    ]


async def _mail_conversation(site: Site, address: str) -> dict[str, Any]:
    """The only conversation of whoever writes from this address."""
    person = await site.call("POST", "/v1/identity/resolve", {"channel": "email", "identifier": address})
    found = await site.get(f"{CONVERSATIONS}?end_user_id={person.body['end_user_id']}&channel=email")
    (one,) = found["items"]
    assert isinstance(one, dict)
    return one


def _mail(sender: str, recipient: str, subject: str, text: str) -> EmailMessage:
    mail = EmailMessage(_POLICY)
    mail["From"] = f"Grace <{sender}>"
    mail["To"] = recipient
    mail["Subject"] = subject
    mail["Message-ID"] = make_msgid(domain="customer.example")
    mail.set_content(text)
    return mail


def _text(mail: SunkMail) -> str:
    body = mail.headers.get_body(("plain",))
    return "" if body is None else str(body.get_content()).strip()


async def test_a_call_is_greeted_heard_and_transferred(site: Site) -> None:
    number = site.number()
    call = await site.twilio.call(number, DEMO_NUMBER)
    assert call.error == ""
    assert call.listening == {"speech", "dtmf"}
    assert len(call.said) == 1

    await call.say("When are you open?")
    assert call.said[1:] == ["You said: When are you open?"]

    await call.say("Take my pin")
    assert call.said[-1] == "Please type your PIN of four digits, then press the hash key."
    await call.press("1234#")
    assert call.said[-1] == "Thank you, I have your 4 digits."

    await call.say("Please transfer me to billing.")
    assert (call.dialing, call.dialed) == (True, [TRANSFER_NUMBER])
    assert call.said[-1] == "I am transferring your call, one moment please."
    await call.dial_ended("completed")
    assert (call.ended, call.status.value, call.error) == (True, "completed", "")

    person = await site.call("POST", "/v1/identity/resolve", {"channel": "voice", "identifier": number})
    query = f"{CONVERSATIONS}?end_user_id={person.body['end_user_id']}&channel=voice"

    async def over() -> dict[str, Any] | None:
        (one,) = (await site.get(query))["items"]
        assert isinstance(one, dict)
        return one if one["ended_at"] else None

    conversation = await until(over, "the call's conversation to end")
    assert conversation["status"] == "closed"


async def test_a_transfer_that_nobody_answers_comes_back_to_the_agent(site: Site) -> None:
    call = await site.twilio.call(site.number(), DEMO_NUMBER)
    await call.say("transfer me")
    assert call.dialing
    await call.dial_ended("no-answer")
    assert not call.ended
    assert "speech" in call.listening
    await call.say("Never mind")
    assert call.said[-1] == "You said: Never mind"
    await call.hang_up()
    assert call.error == ""
