"""A missing service skips with a reason, fails where services are required, and is told of at the end."""

import pytest

from tests.services import absent, skipped_lines


def test_a_missing_service_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUIRE_SERVICES", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no RabbitMQ: not here"):
        absent("RabbitMQ", "not here")


def test_a_required_service_that_is_missing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE_SERVICES", "1")
    with pytest.raises(pytest.fail.Exception, match="install postgres"):
        absent("PostgreSQL", "not here")


def test_the_end_of_the_run_counts_what_each_service_cost() -> None:
    reasons = ["no RabbitMQ: not here", "no PostgreSQL: not here", "no RabbitMQ: not here", "another reason"]
    rabbit, postgres = skipped_lines(reasons)
    assert rabbit.startswith(
        "2 tests were skipped for want of RabbitMQ. To run them: install rabbitmq-server"
    )
    assert postgres.startswith("1 test was skipped for want of PostgreSQL. To run it: install postgres")


def test_a_run_that_lacked_nothing_says_nothing() -> None:
    assert skipped_lines(["another reason"]) == []
