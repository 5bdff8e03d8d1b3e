"""How far a call has come, by whatever words in whatever order."""

from hypothesis import given
from hypothesis import strategies as st

from channels.twilio.call_states import ANSWERED_BY, CALL_STATES, answered_by, call_state
from gateway.domain.outgoing_call import AnsweredBy, CallState

_states = st.lists(st.sampled_from(CallState), max_size=12)


def settle(states: list[CallState]) -> CallState:
    """What is kept of reports: the first of the highest rank (as `outgoing_call_report` does)."""
    kept = CallState.QUEUED
    for state in states:
        if state.rank > kept.rank:
            kept = state
    return kept


@given(_states)
def test_a_call_only_goes_forward(states: list[CallState]) -> None:
    kept = settle(states)
    assert kept.rank == max([0, *(state.rank for state in states)])
    ends = [state for state in states if state.over]
    assert kept is ends[0] if ends else not kept.over


@given(_states, st.data())
def test_a_report_that_comes_again_changes_nothing(states: list[CallState], data: st.DataObject) -> None:
    again = [state for state in states for _ in range(data.draw(st.integers(1, 3)))]
    assert settle(again) is settle(states)


@given(st.permutations([CallState.INITIATED, CallState.RINGING, CallState.ANSWERED, CallState.COMPLETED]))
def test_a_call_that_was_answered_is_that_in_any_order(order: list[CallState]) -> None:
    assert settle(order) is CallState.COMPLETED


def test_only_what_is_over_has_the_highest_rank() -> None:
    highest = max(state.rank for state in CallState)
    assert {state for state in CallState if state.rank == highest} == {
        state for state in CallState if state.over
    }
    assert {state for state in CallState if state.connected} == {CallState.ANSWERED, CallState.COMPLETED}
    assert CallState.QUEUED.rank < CallState.DIALING.rank < CallState.UNKNOWN.rank == CallState.INITIATED.rank


@given(st.text(max_size=30))
def test_a_word_that_is_not_known_is_unknown(word: str) -> None:
    if word not in CALL_STATES:
        assert call_state(word) is CallState.UNKNOWN
    if word not in ANSWERED_BY:
        assert answered_by(word) is AnsweredBy.UNKNOWN


def test_machines_are_told_from_people() -> None:
    assert {word for word in ANSWERED_BY if answered_by(word).mechanical} == {
        "machine_start",
        "machine_end_beep",
        "machine_end_silence",
        "machine_end_other",
        "fax",
    }
