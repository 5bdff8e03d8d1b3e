"""The reference voice host under SIPp: callers and their keys become events."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.voice.host.sip.transactions import Transactions
from tests.integration.host_place import OURS, THEIRS, Place, heard, hosting, when_dialled
from tests.services import sipp


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A host."""
    sipp.find_sipp()
    async with hosting(tmp_path) as opened:
        yield opened


async def test_keys_by_info(place: Place) -> None:
    await place.run(*sipp.call(*sipp.keys(2, "12A3#"), *sipp.bye(7)))
    (started,) = place.gateway.of("call.started")
    assert (started["from"], started["to"], started["transport"]) == (THEIRS, OURS, "sip")
    assert heard(place.gateway) == [("12A3", "termination")]
    assert [event["reason"] for event in place.gateway.of("call.ended")] == ["caller"]
    assert place.gateway.host.calls == 0


async def test_digits_are_collected_as_the_gateway_asks(place: Place) -> None:
    spec = {"expects_input": True, "max_digits": 2, "termination_digit": "", "prefix": "PIN: "}
    when_dialled(
        place.gateway,
        lambda call_id: place.gateway.want(call_id, "collect_dtmf", spec),
        lambda call_id: place.gateway.want(call_id, "hang_up", {"reason": "closed"}),
    )
    await place.run(*sipp.call(*sipp.keys(2, "1#12"), *sipp.hung_up()))
    assert heard(place.gateway) == [("1", "termination"), ("PIN: 12", "max_digits")]
    assert [event["state"] for event in place.gateway.of("intent.outcome")] == ["collected", "done"]


_SENDER = """
import socket, struct, sys
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
number = 0
for place, key in enumerate("42#"):
    code = "0123456789*#".index(key)
    for end, duration in ((0, 160), (0, 320), (128, 480), (128, 480), (128, 480)):
        head = struct.pack("!BBHII", 128, 96, number, 8000 * place, 7)
        out.sendto(head + struct.pack("!BBH", code, end | 10, duration), ("127.0.0.1", int(sys.argv[1])))
        number += 1
"""


async def test_keys_by_rtp_with_their_repetitions(place: Place, tmp_path: Path) -> None:
    (tmp_path / "keys.py").write_text(_SENDER)
    port = (
        '<action><ereg regexp="m=audio ([0-9]+)" search_in="body" check_it="true" assign_to="1,2"/></action>'
    )
    used = '<Reference variables="1"/>'
    steps = sipp.call(
        sipp.run(f"{sys.executable} {tmp_path}/keys.py [$2]"),
        sipp.receive("BYE"),
        sipp.reply("200 OK"),
        used,
        actions=port,
    )
    when_dialled(place.gateway, lambda call_id: place.gateway.want(call_id, "hang_up", {"reason": "closed"}))
    await place.run(*steps)
    assert heard(place.gateway) == [("42", "termination")]


async def test_a_repeated_invite_is_one_call(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = sipp.invite("z9hG4bK-same-[call_id]")
    answered = (sipp.receive(180, optional=True), sipp.receive(200), sipp.within("ACK", 1))
    ringing = (sipp.receive(100), sipp.receive(180))
    place.gateway.holding = True
    received, invites = Transactions.datagram_received, list[bytes]()

    def counted(layer: Transactions, datagram: bytes, peer: tuple[str, int]) -> None:
        received(layer, datagram, peer)
        invites.extend([datagram] if datagram.startswith(b"INVITE") else [])
        if len(invites) == 2 and place.gateway.holding:
            place.gateway.holding = False  # the second is here, and the first is not answered yet
            place.gateway.accept(place.gateway.of("call.started")[0]["call_id"])

    monkeypatch.setattr(Transactions, "datagram_received", counted)
    await place.run(twice, *ringing, twice, *answered, *sipp.keys(2, "9#"), *sipp.bye(4))
    assert len(place.gateway.of("call.started")) == 1
    assert heard(place.gateway) == [("9", "termination")]


async def test_fifty_calls_at_once(place: Place) -> None:
    when_dialled(
        place.gateway,
        *[lambda call_id: place.gateway.want(call_id, "hang_up", {"reason": "closed"})] * 50,
    )
    await place.run(*sipp.call(*sipp.keys(2, "77#"), *sipp.hung_up()), calls=50)
    assert len({event["call_id"] for event in place.gateway.of("call.started")}) == 50
    assert heard(place.gateway) == [("77", "termination")] * 50
    assert [event["state"] for event in place.gateway.of("intent.outcome")] == ["done"] * 50
    assert place.gateway.host.calls == 0
    place.gateway.numbered_without_gaps()
