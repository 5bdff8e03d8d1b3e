"""What a missing service means for a test run, and how the run's end tells of it."""

import os
from collections import Counter
from collections.abc import Iterable
from typing import NoReturn

import pytest

_HOW_TO_GET = {
    "RabbitMQ": "install rabbitmq-server (Debian: apt-get install rabbitmq-server), or start Docker, "
    "or set TEST_AMQP_URL=amqp://…",
    "PostgreSQL": "install postgres (Debian: apt-get install postgresql), or start Docker, "
    "or set TEST_DATABASE_URL=postgresql://… of a user who may create databases",
    "SIPp": "install sipp (Debian: apt-get install sip-tester)",
    "Node.js": "install it with npm (Debian: apt-get install nodejs npm), then: make node",
}


def absent(service: str, reason: str) -> NoReturn:
    """Skip the running test because it lacks `service`; with REQUIRE_SERVICES=1 fail it."""
    message = f"no {service}: {reason}"
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(f"{message}; {_HOW_TO_GET[service]}", pytrace=False)
    pytest.skip(message)


def skipped_lines(reasons: Iterable[str]) -> list[str]:
    """For each service that tests were skipped for: how many, and how to get it."""
    counts = Counter(service for reason in reasons for service in _HOW_TO_GET if f"no {service}: " in reason)
    return [_skipped_line(service, count) for service, count in counts.items()]


def _skipped_line(service: str, count: int) -> str:
    subject, them = ("1 test was", "it") if count == 1 else (f"{count} tests were", "them")
    return f"{subject} skipped for want of {service}. To run {them}: {_HOW_TO_GET[service]}"
