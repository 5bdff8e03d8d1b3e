"""Whether the agent answers what somebody has written; what it does not answer is stored all the same."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from gateway.domain.clock import SECOND
from gateway.domain.consent import ConsentRules, ConsentSource, Keyword, answered_by_provider, keyword_of
from gateway.domain.message import Channel, InboundMessage, Role
from gateway.domain.pace import Pace
from gateway.domain.ports.store import Tx
from gateway.service.join import Place, find_mail_thread, sms_thread_key, standing
from gateway.service.suppress import liftable_by_start

if TYPE_CHECKING:
    from gateway.service.accept import Route


class Unanswered(StrEnum):
    """Why the agent does not answer a message."""

    KEYWORD = "keyword"
    """It is a keyword of consent, which the gateway or the provider deals with."""
    UNREACHABLE = "unreachable"
    """No reply would reach the sender, or it would reach others too."""
    LOOP = "loop"
    """A machine seems to answer our answers: too many of them, or the same words again."""
    FLOOD = "flood"
    """Far too much comes from one sender; perhaps in another's name, to have us write to them."""


MOST_LATELY, LATELY = 5, 600 * SECOND
"""Answers of the agent in one conversation by mail, within so many µs."""
MOST_A_DAY, A_DAY = 20, 86_400 * SECOND
MOST_BEGUN, AN_HOUR = 100, 3600 * SECOND
"""Conversations by mail that an address begins within so many µs, and are answered."""
MOST_OF_DOMAIN, MOST_UNPROVEN = 100, 1000
"""Unproven mails in an hour that name one domain, or come at all, and are answered: whoever writes in others'
names has us write to them, and names another each time."""
PROVEN = "proven:"
"""Before the domain under which mails of proven senders are counted."""
MOST_SAME = 5
"""Texts of the same words within LATELY after which no more of them are answered."""
SAME_WORDS = 3600 * SECOND
"""µs within which the same words again are not answered again."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What is done with a message besides storing it. `unanswered` None: the agent answers."""

    unanswered: Unanswered | None = None
    keyword: Keyword | None = None
    source: ConsentSource = ConsentSource.KEYWORD
    told: bool = False
    """Whether the provider answers the keyword, so that we say nothing to it."""
    place: Place | None = None
    """Where it belongs, if that has been seen already."""


ANSWERED = Admission()


async def admit(tx: Tx, message: InboundMessage, route: "Route", end_user_id: str) -> Admission:
    """Decide by what the message is and what is in force for its sender, whose record is `end_user_id`."""
    if message.role is not Role.USER:
        return ANSWERED
    if not message.answerable:
        return Admission(Unanswered.UNREACHABLE)
    if message.channel is Channel.SMS:
        admission = await _keyword(tx, message, route.organization_id, route.consent)
        if admission.unanswered is None:
            return await _paced(tx, message, route, end_user_id)
        return admission
    if message.channel is Channel.EMAIL and await _loops(tx, message, route):
        return Admission(Unanswered.LOOP)
    if await _floods(tx, message, route.organization_id, end_user_id, route.pace):
        return Admission(Unanswered.FLOOD)
    return ANSWERED


async def _paced(tx: Tx, message: InboundMessage, route: "Route", end_user_id: str) -> Admission:
    """Whether somebody, or a machine, writes more texts than are answered, or the same over and over."""
    row = await tx.one(
        "sms_standing",
        organization_id=route.organization_id,
        end_user_id=end_user_id,
        thread_key=sms_thread_key(route, message.recipient, end_user_id),
        our_address=message.recipient,
        content=message.text,
        hour=AN_HOUR,
        lately=LATELY,
    )
    if row is None:
        raise AssertionError("a count has a row")
    place = standing(row["open_id"], row["messages"], row["ended_id"])
    pace = route.pace
    if pace.messages_per_hour and row["said"] >= pace.messages_per_hour:
        return Admission(Unanswered.FLOOD, place=place)
    looping = message.text.strip() and row["same"] >= MOST_SAME
    if looping or (pace.answers_per_hour and row["answers"] >= pace.answers_per_hour):
        return Admission(Unanswered.LOOP, place=place)
    return Admission(place=place)


async def _floods(
    tx: Tx, message: InboundMessage, organization_id: str, end_user_id: str, pace: Pace
) -> bool:
    """Whether so much comes that our answers may be meant to fill a mailbox, or a machine gets them."""
    is_mail, proven = message.channel is Channel.EMAIL, message.sender_auth.proven
    if proven and not is_mail:
        return False
    if is_mail and proven and await _overflows(tx, message, organization_id, pace.domain_messages_per_hour):
        return True
    if is_mail and not proven:
        domain = message.sender.rpartition("@")[2]
        if await _counted(tx, organization_id, domain) > MOST_OF_DOMAIN:
            return True
        if await _counted(tx, organization_id, "") > MOST_UNPROVEN:
            return True
    row = await tx.one(
        "conversations_lately", organization_id=organization_id, end_user_id=end_user_id, within=AN_HOUR
    )
    return row is not None and bool(row["begun"] >= MOST_BEGUN)


async def _overflows(tx: Tx, message: InboundMessage, organization_id: str, most: int) -> bool:
    """Whether so much of one domain was answered, whichever mailboxes it names: who has it has any number."""
    if not most:
        return False
    counter = {"organization_id": organization_id, "domain": _proven_domain(message)}
    row = await tx.one("mail_counted", **counter, hour=AN_HOUR)
    return row is not None and bool(row["mails"] >= most)


async def count_answered(tx: Tx, message: InboundMessage, organization_id: str) -> None:
    """Count a mail of a proven sender that is answered.

    Last in its unit: all mails of a large provider meet in one row. Those that come at once may go beyond the
    bound by as many.
    """
    counter = {"organization_id": organization_id, "domain": _proven_domain(message)}
    await tx.later("mail_count", **counter, hour=AN_HOUR)


def _proven_domain(message: InboundMessage) -> str:
    return f"{PROVEN}{message.sender_domain or message.sender.rpartition('@')[2]}"


async def _counted(tx: Tx, organization_id: str, domain: str) -> int:
    row = await tx.one("mail_count", organization_id=organization_id, domain=domain, hour=AN_HOUR)
    return 0 if row is None else int(row["mails"])


async def _loops(tx: Tx, message: InboundMessage, route: "Route") -> bool:
    """Whether a machine that says nothing of it answers us: headers tell of most loops, not of all."""
    conversation_id, _ = await find_mail_thread(tx, message, route)
    if conversation_id is None:
        return False
    newest = await tx.all(
        "mail_pace",
        id=conversation_id,
        content=message.text,
        lately=LATELY,
        day=A_DAY,
        hour=SAME_WORDS,
    )
    again = bool(message.text.strip()) and any(row["same"] for row in newest)
    answers = [row for row in newest if row["answer"]]
    lately, today = (sum(bool(row[when]) for row in answers) for when in ("lately", "today"))
    return again or lately >= MOST_LATELY or today >= MOST_A_DAY


async def _keyword(tx: Tx, message: InboundMessage, organization_id: str, texts: ConsentRules) -> Admission:
    """What the provider took for a keyword is one; what we do has to mean something besides."""
    if message.keyword is not None:
        return Admission(Unanswered.KEYWORD, message.keyword, ConsentSource.PROVIDER, told=True)
    keyword = keyword_of(message.text)
    if keyword is None:
        return ANSWERED
    if keyword is Keyword.START and not await liftable_by_start(
        tx, organization_id, message.channel, (message.recipient, message.sender)
    ):
        return ANSWERED  # a "yes" of somebody who never said stop is an answer to the agent
    told = texts.provider_answers and answered_by_provider(message.text)
    if keyword is Keyword.HELP and texts.provider_answers and not told:
        return ANSWERED  # a word for help that the provider does not know, and so leaves without an answer
    return Admission(Unanswered.KEYWORD, keyword, told=told)
