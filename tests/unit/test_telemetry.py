"""What is counted: a series is the same whether its labels are words or members of a vocabulary."""

from gateway.domain.message import Channel
from gateway.telemetry import SENDS, TURN_SECONDS


def test_a_series_is_looked_up_by_the_words_of_its_labels() -> None:
    assert SENDS.labels(Channel.EMAIL, "told") is SENDS.labels("email", "told")
    SENDS.labels(Channel.EMAIL, "another").inc()
    [metric] = SENDS.collect()
    assert {"channel": "email", "outcome": "another"} in [sample.labels for sample in metric.samples]


def test_a_histogram_has_one_series_for_each_word() -> None:
    assert TURN_SECONDS.labels(Channel.SMS) is TURN_SECONDS.labels("sms")
    assert TURN_SECONDS.labels(Channel.SMS) is not TURN_SECONDS.labels(Channel.EMAIL)
