"""E-mail: SMTP in, a threaded reply out, and an answer to that reply finds its conversation."""

from email.message import EmailMessage
from email.utils import make_msgid, parseaddr
from typing import Final

from gateway.demo.expect import expect, expect_that
from gateway.demo.page import Page, Speaker
from gateway.demo.stage import OUR_MAILBOX, Stage

GRACE: Final = "grace@customer.example"
_SUBJECT: Final = "Order 1001"
_QUESTION: Final = "Where is my order?"
_ANSWER: Final = "Thank you. Please leave it at the door."


async def mails(stage: Stage, page: Page) -> None:
    """Grace writes, gets a reply, and answers it as a mail client does."""
    page.heading("E-mail", f"{GRACE} writes to {OUR_MAILBOX}; the way back is the bundled mail sink")
    question = _mail(_SUBJECT, _QUESTION, to=OUR_MAILBOX)
    await stage.send_mail(question)
    page.said(Speaker.PERSON, _QUESTION)
    reply = (await stage.mails(1))[0].headers
    _expect_reply(reply, to=question, subject=f"Re: {_SUBJECT}", text=f"You said: {_QUESTION}")
    page.said(Speaker.AGENT, _text(reply))
    page.checked(f"Subject: {reply['Subject']}; In-Reply-To is the Message-ID of the question")

    answer = _mail(str(reply["Subject"]), _ANSWER, to=parseaddr(str(reply["Reply-To"]))[1])
    answer["In-Reply-To"] = str(reply["Message-ID"])
    answer["References"] = f"{question['Message-ID']} {reply['Message-ID']}"
    await stage.send_mail(answer)
    page.said(Speaker.PERSON, _ANSWER)
    second = (await stage.mails(2))[1].headers
    _expect_reply(second, to=answer, subject=f"Re: {_SUBJECT}", text=f"You said: {_ANSWER}")
    expect(
        "References of the second reply",
        str(second["References"]).split(),
        [question["Message-ID"], reply["Message-ID"], answer["Message-ID"]],
    )
    expect("conversation of the second reply", _conversation(second), _conversation(reply))
    page.said(Speaker.AGENT, _text(second))
    page.checked("References name the whole thread; both mails are one conversation")


def _mail(subject: str, text: str, *, to: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = f"Grace <{GRACE}>"
    mail["To"] = to
    mail["Subject"] = subject
    mail["Message-ID"] = make_msgid(domain="customer.example")
    mail.set_content(text)
    return mail


def _expect_reply(reply: EmailMessage, *, to: EmailMessage, subject: str, text: str) -> None:
    expect("In-Reply-To of a reply", reply["In-Reply-To"], to["Message-ID"])
    expect("Subject of a reply", reply["Subject"], subject)
    expect("recipient of a reply", parseaddr(str(reply["To"]))[1], GRACE)
    expect("sender of a reply", parseaddr(str(reply["From"]))[1], OUR_MAILBOX)
    expect_that("a reply quotes what it answers", _text(reply).startswith(text), _text(reply))


def _conversation(reply: EmailMessage) -> str:
    """The mark of the conversation in our Message-IDs (`channels.email.thread`)."""
    return str(reply["Message-ID"]).split(".")[1]


def _text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    return "" if body is None else str(body.get_content()).strip()
