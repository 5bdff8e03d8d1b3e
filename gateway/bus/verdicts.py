"""What becomes of a message, alike on both buses: decoded, handed to its consumer, judged."""

import logging

from pydantic import ValidationError

from gateway.domain.envelope import Envelope
from gateway.domain.errors import Unavailable
from gateway.domain.ports.bus import DONE, Ack, Consumer, RetryStep, Verdict, dead, retry
from gateway.log import place_of

logger = logging.getLogger(__name__)

MAX_BODY = 1_048_576
"""Bytes of a message; a larger one is a dead letter."""
MAX_ATTEMPTS = 50
"""How often a message may ask to be tried again."""
MAX_AWAY = 17_280
"""The same where something else was away each time, which is no fault of the message's: a day's outage."""


async def judge(consumer: Consumer, message: bytes | Envelope, attempt: int) -> Verdict:
    """Decode a message, have it worked off and say what becomes of it. `attempt` is 1 the first time.

    What this process has written itself comes as it was before it was encoded.
    """
    envelope = _decode(message) if isinstance(message, bytes) else message
    if isinstance(envelope, Verdict):
        return envelope
    at_most = MAX_ATTEMPTS
    try:
        verdict = await _consume(consumer, envelope)
    except Unavailable as error:
        logger.warning(
            "a message waits for what is away",
            extra={"action": "message_postponed", "queue": consumer.queue, "reason": error.message},
        )
        verdict, at_most = retry(RetryStep.S5, error.message), MAX_AWAY
    if verdict.ack is Ack.RETRY and attempt >= at_most:
        if verdict.rung_again:
            return DONE
        return dead(f"given up after {attempt} attempts: {verdict.reason or 'no reason given'}")
    return verdict


def _decode(body: bytes) -> Envelope | Verdict:
    if len(body) > MAX_BODY:
        return dead(f"larger than {MAX_BODY} bytes")
    try:
        return Envelope.model_validate_json(body)
    except ValidationError as error:
        return dead(f"not a valid envelope: {_faults(error)}")


async def _consume(consumer: Consumer, envelope: Envelope) -> Verdict:
    try:
        return await consumer.consume(envelope)
    except ValidationError as error:
        return dead(f"not a valid {envelope.type[:100]}: {_faults(error)}")
    except Unavailable:
        raise
    except Exception as error:
        # The text of an exception may quote what a person wrote: only its kind and its place are told.
        logger.error(
            "a consumer failed",
            extra={
                "action": "consumer_failed",
                "queue": consumer.queue,
                "message_id": envelope.id,
                "error": type(error).__name__,
                "at": place_of(error),
            },
        )
        return retry(RetryStep.S5, f"{type(error).__name__} at {place_of(error)}")


def _faults(error: ValidationError) -> str:
    """Which fields are wrong and how, without what they hold."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"{'.'.join(str(part)[:50] for part in fault['loc']) or 'body'}: {fault['type']}"
        for fault in faults[:5]
    )
