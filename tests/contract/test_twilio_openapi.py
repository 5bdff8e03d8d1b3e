"""What we send to Twilio has the shape that Twilio publishes: a mock of its OpenAPI description takes it.

The mock answers with examples and keeps nothing. What it does not check (unknown parameters, ranges, E.164)
is checked against the fake and the official client.
"""

import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from twilio.base.values import unset

from channels.twilio.calls import NewCall, TwilioCalls
from channels.twilio.client import NewMessage, TwilioRest
from channels.twilio.credentials import TwilioCredentials
from channels.twilio.numbers import TwilioNumbers, wanted
from gateway.bench.private_server import free_ports
from gateway.domain.delivery import OutcomeUnknown, Refused, Taken
from tests.corpora import corpus
from tests.node import node_tool

ACCOUNT = "AC" + "0" * 32
READY_SECONDS = 60.0
MESSAGE = NewMessage(
    to="+15550123",
    sender="+15550100",
    body="Grüße & 50 % 😀",
    status_callback="https://gateway.example.org/webhooks/twilio/sms/status?d=1&p=0&a=1",
    validity_seconds=600,
)


@pytest.fixture(scope="module")
def twilio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwilioCredentials]:
    """The mock, and credentials for it."""
    command, spec = node_tool("prism"), corpus("twilio-openapi/twilio_api_v2010.json")
    [port] = free_ports(1)
    log = tmp_path_factory.mktemp("prism") / "log"
    with log.open("wb") as output:
        mock = subprocess.Popen(
            [command, "mock", "--port", str(port), "--host", "127.0.0.1", str(spec)],
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(port, mock, log)
        url = f"http://127.0.0.1:{port}"
        yield TwilioCredentials(account_sid=ACCOUNT, auth_tokens=("token",), api_url=url)
    finally:
        mock.terminate()
        mock.wait(60)


def wait_for(port: int, mock: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return when the mock listens."""
    give_up = time.monotonic() + READY_SECONDS
    while True:
        assert mock.poll() is None, log.read_text("utf-8", "replace")[-2000:]
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < give_up, log.read_text("utf-8", "replace")[-2000:]
            time.sleep(0.1)
        else:
            return


async def test_a_message_is_taken_as_it_is_sent(twilio: TwilioCredentials) -> None:
    rest = TwilioRest(twilio)
    try:
        assert isinstance(await rest.create_message(MESSAGE, 60), Taken)
    finally:
        await rest.close()


async def test_the_mock_does_refuse(twilio: TwilioCredentials) -> None:
    rest, stranger = TwilioRest(twilio), TwilioRest(replace(twilio, account_sid="AC"))
    try:
        bent = replace(MESSAGE, status_callback="not a url")
        assert isinstance(await rest.create_message(bent, 60), Refused)
        assert isinstance(await stranger.create_message(MESSAGE, 60), Refused)
    finally:
        await rest.close()
        await stranger.close()


async def test_messages_are_listed_as_they_are_looked_up(twilio: TwilioCredentials) -> None:
    rest = TwilioRest(twilio)
    try:
        assert not isinstance(await rest.list_messages(MESSAGE.to, MESSAGE.sender), OutcomeUnknown)
    finally:
        await rest.close()


async def test_a_call_is_taken_as_it_is_begun_looked_up_and_told(
    twilio: TwilioCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the mock takes no list in a form, whichever way it is written
    monkeypatch.setattr("channels.twilio.calls.PROGRESS_EVENTS", unset)
    # as many as its first page has: it does not take the link to the second
    monkeypatch.setattr("channels.twilio.calls.LIST_LIMIT", 2)
    public, sid = "https://gateway.example.org", "CA" + "1" * 32
    call = NewCall(
        to="+15550123",
        sender="+15550100",
        url=f"{public}/answered?c=1",
        status_callback=f"{public}/progress?c=1",
        ring_seconds=30,
        machine_detection="DetectMessageEnd",
        machine_callback=f"{public}/machine?c=1",
    )
    calls = TwilioCalls(twilio)
    try:
        assert isinstance(await calls.create(call, 60), Taken)
        assert isinstance(await calls.create(replace(call, machine_detection=None), 60), Taken)
        assert isinstance(await calls.create(replace(call, status_callback="not a url"), 60), Refused)
        assert not isinstance(await calls.listed(call.to, call.sender), OutcomeUnknown)
        assert not isinstance(await calls.fetched(sid), OutcomeUnknown)
        assert isinstance(await calls.hang_up(sid, 60), Taken)
        assert isinstance(await calls.redirect(sid, call.url, 60), Taken)
    finally:
        await calls.close()


async def test_numbers_are_read_and_changed(twilio: TwilioCredentials) -> None:
    numbers = TwilioNumbers(twilio)
    try:
        [number, *_] = await numbers.all()
        public = "https://gateway.example.org"
        await numbers.change(number, wanted(number.settings, public, public, sms=True, voice=True))
    finally:
        await numbers.close()
