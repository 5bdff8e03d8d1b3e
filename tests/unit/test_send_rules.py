"""How long a part waits that could not leave: what its provider said, and how long it has held up others."""

from collections.abc import Iterable
from enum import StrEnum
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.send_rules import (
    LANE_HELD_AT_MOST,
    MAIL_ATTEMPTS,
    MAIL_WAITS,
    RECONCILE_AFTER,
    TEXT_ATTEMPTS,
    TEXT_WAITS,
    SendRules,
    Wait,
)

TEXTS = SendRules()
MAILS = SendRules(attempts=MAIL_ATTEMPTS, waits=MAIL_WAITS, hold_seconds=0)
MOST_JITTER = 1.2
HELD = st.floats(0, LANE_HELD_AT_MOST + 60)
JITTER = st.floats(0.8, MOST_JITTER)


class Trouble(StrEnum):
    """What may become of an attempt."""

    REFUSED = "refused"
    LOST = "lost"
    """Nobody knows, and it left no trace: its worker died, or the connection."""


def waits(troubles: Iterable[Trouble], jitter: float = 1.0) -> list[Wait]:
    """What follows each of an order of troubles."""
    held, refusals = 0.0, 0
    found = []
    for trouble in troubles:
        if trouble is Trouble.REFUSED:
            refusals += 1
            wait = TEXTS.wait_refused(held, refusals, jitter)
        else:
            wait = TEXTS.wait(held, RECONCILE_AFTER)
        found.append(wait)
        held += wait.seconds
    return found


@given(st.lists(st.sampled_from(Trouble), max_size=TEXT_ATTEMPTS), JITTER)
def test_property_a_wait_grows_with_refusals_only(troubles: list[Trouble], jitter: float) -> None:
    with_lost = [
        w.seconds
        for w, t in zip(waits(troubles, jitter), troubles, strict=True)
        if t is Trouble.REFUSED and not w.aside
    ]
    alone = [w.seconds for w in waits((t for t in troubles if t is Trouble.REFUSED), jitter)]
    # what was lost shortens the last wait at most: that one ends with the hold
    assert all(mixed <= pure for mixed, pure in zip(with_lost, alone, strict=False))


@given(HELD, st.integers(1, TEXT_ATTEMPTS), JITTER)
def test_property_nothing_goes_aside_while_another_attempt_fits(
    held: float, refusal: int, jitter: float
) -> None:
    wait = TEXTS.wait_refused(held, refusal, jitter)
    assert wait.seconds > 0
    if wait.aside:
        assert held + TEXT_WAITS[0] * MOST_JITTER > LANE_HELD_AT_MOST
        assert wait.seconds == TEXTS.backoff(refusal) * jitter
    else:
        assert wait.seconds <= LANE_HELD_AT_MOST - held


def test_four_refusals_and_two_lost_attempts_hold_the_lane_in_any_order() -> None:
    orders = set(permutations([Trouble.REFUSED] * 4 + [Trouble.LOST] * 2))
    assert len(orders) == 15
    for troubles in orders:
        assert not any(wait.aside for wait in waits(troubles, MOST_JITTER)), troubles


def test_five_refusals_hold_it_and_the_sixth_does_not() -> None:
    refused = waits([Trouble.REFUSED] * 6)
    assert [wait.aside for wait in refused] == [False] * 5 + [True]
    assert sum(wait.seconds for wait in refused[:5]) == LANE_HELD_AT_MOST


def test_what_the_provider_says_is_kept_to() -> None:
    assert TEXTS.wait_refused(0, 1, least=60) == Wait(60)
    assert TEXTS.wait_refused(150, 1, least=60) == Wait(60, aside=True)
    assert TEXTS.wait_refused(150, 4, least=20) == Wait(30)


@given(HELD, st.integers(1, TEXT_ATTEMPTS), JITTER, st.floats(0, 3600))
def test_property_nobody_is_asked_sooner_than_they_say_or_than_who_says_nothing(
    held: float, refusal: int, jitter: float, least: float
) -> None:
    wait = TEXTS.wait_refused(held, refusal, jitter, least)
    assert wait.seconds >= max(least, TEXTS.wait_refused(held, refusal, jitter).seconds)


@given(st.floats(0, 1e6), st.integers(1, MAIL_ATTEMPTS))
def test_property_a_mail_holds_up_nothing(held: float, refusal: int) -> None:
    assert MAILS.wait_refused(held, refusal) == Wait(MAILS.backoff(refusal), aside=True)
