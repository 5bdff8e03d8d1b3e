"""Replies out: composed, signed and handed to a relay, as the delivery workers' sender does it.

Nothing of the gateway stands around it, and the relay is a bare server in a process of its own: what is left
is what the mail itself costs.
"""

import asyncio
import time
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from channels.email.pool import RelayAddress, SmtpPool
from channels.email.relay import SmtpRelay
from channels.email.sign import RSA_BITS, DkimSigner
from channels.email.thread import ThreadMarks
from gateway.bench.stage import BenchFailed
from gateway.domain.clock import SECOND
from gateway.domain.delivery import Answered, Delivery, DeliveryState, Part, Taken, Thread
from gateway.domain.ids import new_id
from gateway.domain.message import Channel

AT_ONCE = 50
"""Replies on their way."""
_DOMAIN = "example.org"
_SECONDS = 30.0
_TEXT = "\n\n".join(
    f"Paragraph {number} of an answer: **what you asked for**, as a [link](https://example.org/{number})."
    for number in range(12)
)


async def rate(port: int, replies: int) -> float:
    """Replies a second. Raises BenchFailed where one is not taken."""
    key = generate_private_key(public_exponent=65_537, key_size=RSA_BITS)
    marks = ThreadMarks(_DOMAIN, (b"benchmark",))
    pool = SmtpPool(RelayAddress.from_url(f"smtp://127.0.0.1:{port}"), _DOMAIN)
    relay = SmtpRelay(pool, marks, _no_files, DkimSigner(_DOMAIN, "bench", key))
    waiting = [_reply(number) for number in range(replies)]

    async def send() -> None:
        while waiting:
            delivery = waiting.pop()
            part = Part(delivery_id=delivery.id, index=0, text=delivery.text, hash="")
            outcome = await relay.send(delivery, part, _SECONDS)
            if not isinstance(outcome, Taken):
                raise BenchFailed(f"a reply was not taken: {outcome}")

    began = time.perf_counter()
    try:
        await asyncio.gather(*(send() for _ in range(AT_ONCE)))
    finally:
        await relay.close()
    return replies / (time.perf_counter() - began)


async def _no_files(organization_id: str, attachment_id: str) -> bytes:
    raise AssertionError("these replies carry no files")


def _reply(number: int) -> Delivery:
    asked = Answered("A question of some length, as people ask it. " * 10, 1_764_147_600 * SECOND)
    return replace(_REPLY, id=new_id(), message_id=new_id(), thread=_thread(number, asked))


def _thread(number: int, asked: Answered) -> Thread:
    own = f"<{number}@example.com>"
    return Thread(subject="Your order", in_reply_to=own, references=(own,), answered=asked)


_REPLY = Delivery(
    id=new_id(),
    lane="",
    number=1,
    organization_id=new_id(),
    conversation_id=new_id(),
    message_id=new_id(),
    message_seq=1,
    turn_id=None,
    channel=Channel.EMAIL,
    sender=f"support@{_DOMAIN}",
    recipient="ana@example.com",
    text=_TEXT,
    state=DeliveryState.PENDING,
    attempt=0,
    sandboxed=False,
    created_at=1_764_147_600 * SECOND,
)
