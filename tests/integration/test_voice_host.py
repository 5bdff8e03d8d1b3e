"""The reference voice host under SIPp: callers become events, and what the gateway wants is done, once."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from channels.voice.host.host import VoiceHost, open_layer
from channels.voice.host.ledger import Json, Ledger
from channels.voice.host.site import Site
from gateway.bench.private_server import free_ports
from gateway.domain.clock import SECOND, Clock, rfc3339
from gateway.domain.ids import new_id
from gateway.domain.intent import CallTransferIntent, TransferMode, WarmTransfer, resolve_transfer
from tests.services import sipp
from tests.services.sipp import Sipp

OURS, THEIRS = "+15550100", "+14155550123"
HOST = "127.0.0.1"
TARGET = "sip:desk@example.org"


class Gateway:
    """The other end of the host's link: accepts every call, and answers events as a test wants it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.host = VoiceHost()
        self.events: list[Json] = []
        self.on: Callable[[Json], None] = lambda _event: None
        self.accept_seconds = 0.0
        self._more = asyncio.Event()

    def report(self, event: Json) -> None:
        """An event of the host."""
        self._ledger.report(new_id(), event)
        self.events.append(event)
        self._more.set()
        loop = asyncio.get_running_loop()
        if event["kind"] == "call.started":
            loop.call_later(self.accept_seconds, self._accept, event["call_id"])
        loop.call_soon(self.on, event)

    def _accept(self, call_id: str) -> None:
        self.host.told("voice.event", {"kind": "call.accepted", "call_id": call_id})()

    def want(self, call_id: str, kind: str, payload: Json, **changed: Any) -> Json:
        """Tell the host to do something; the intent."""
        now = Clock().now()
        intent = {
            "intent_id": new_id(),
            "call_id": call_id,
            "conversation_id": new_id(),
            "turn_id": None,
            "issued_at": rfc3339(now),
            "not_after": rfc3339(now + 30 * SECOND),
            "kind": kind,
            "payload": payload,
            **changed,
        }
        self.host.told("voice.intent", intent)()
        return intent

    def of(self, kind: str) -> list[Json]:
        """The events of a kind."""
        return [event for event in self.events if event["kind"] == kind]

    async def until(self, kind: str, count: int = 1) -> Json:
        """The last of so many events of a kind, once they are there."""
        async with asyncio.timeout(sipp.SECONDS):
            while len(self.of(kind)) < count:
                self._more.clear()
                await self._more.wait()
        return self.of(kind)[count - 1]

    def numbered_without_gaps(self) -> None:
        """The reports of each call are numbered from 0 on."""
        reports = [event for event in self.events if "seq" in event]
        for _, one in groupby(sorted(reports, key=lambda e: str(e["call_id"])), lambda e: e["call_id"]):
            numbers = [event["seq"] for event in one]
            assert numbers == list(range(len(numbers)))


class Place:
    """A host, and SIPp around it."""

    def __init__(self, directory: Path, gateway: Gateway, address: tuple[str, int], trunk_port: int) -> None:
        self._directory = directory
        self.gateway = gateway
        self._address = address
        self.trunk_port = trunk_port
        self._running: list[Sipp] = []

    async def start(self, name: str, *steps: str, port: int = 0, calls: int = 1) -> Sipp:
        """A caller, or at `port` somebody who is called."""
        free, media = free_ports(2)
        started = Sipp(self._directory, name, steps, port=port or free, media_port=media - media % 2)
        self._running.append(started)
        await started.start(self._address, calls)
        return started

    async def run(self, *steps: str, calls: int = 1) -> None:
        """A caller, to the end."""
        await (await self.start("caller", *steps, calls=calls)).finish()
        await self.gateway.until("call.ended", calls)

    def stop(self) -> None:
        """End whatever still runs."""
        for one in self._running:
            one.stop()


@asynccontextmanager
async def hosting(directory: Path, notify_seconds: float = 10.0) -> AsyncIterator[Place]:
    """A host that serves on loopback."""
    ledger = Ledger(directory / "host.jsonl")
    gateway = Gateway(ledger)
    (trunk_port,) = free_ports(1)
    layer = await open_layer(gateway.host, HOST, 0)
    trunk = (HOST, trunk_port)
    clock = Clock()
    gateway.host.start(
        Site("host-1", layer, ledger, gateway, clock, trunk, gateway.host.add_leg, notify_seconds)
    )
    place = Place(directory, gateway, layer.local, trunk_port)
    try:
        yield place
    finally:
        place.stop()
        gateway.host.close()
        ledger.close()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A host."""
    sipp.find_sipp()
    async with hosting(tmp_path) as opened:
        yield opened


def heard(gateway: Gateway) -> list[tuple[str, str]]:
    """The digits of all calls."""
    return [(event["digits"], event["ended_by"]) for event in gateway.of("user.dtmf")]


def when_dialled(gateway: Gateway, *todo: Callable[[str], object]) -> None:
    """Each time the caller has pressed something, do the next."""
    left = list(todo)

    def on(event: Json) -> None:
        if event["kind"] == "user.dtmf" and left:
            left.pop(0)(event["call_id"])

    gateway.on = on


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


def cold(**changed: Any) -> Json:
    """A cold transfer's payload."""
    return resolve_transfer(CallTransferIntent(destination=TARGET, **changed))[0].model_dump(mode="json")


def referred(*steps: str) -> tuple[str, ...]:
    """A call in which a key leads to a REFER."""
    return sipp.call(*sipp.keys(2, "1#"), sipp.receive("REFER"), *steps)


def notify(number: int, status: str, state: str) -> tuple[str, ...]:
    """How a REFER goes."""
    more = f"Event: refer\nSubscription-State: {state}\nContent-Type: message/sipfrag"
    return (sipp.within("NOTIFY", number, more, f"SIP/2.0 {status}"), sipp.receive(200))


ACCEPTED = sipp.reply("202 Accepted")
TRYING = notify(4, "100 Trying", "active;expires=60")


@pytest.mark.parametrize(
    ("steps", "outcome", "reason"),
    [
        (
            (ACCEPTED, *TRYING, *notify(5, "200 OK", "terminated"), *sipp.hung_up()),
            ("transferred", None, 200, "refer"),
            "transferred",
        ),
        (
            (ACCEPTED, *TRYING, *notify(5, "486 Busy Here", "terminated"), *sipp.bye(6)),
            ("failed", "refer_target_failed", 486, "refer"),
            "caller",
        ),
        (
            (sipp.reply("603 Decline"), *sipp.bye(4)),
            ("failed", "refer_rejected", 603, "refer"),
            "caller",
        ),
        ((ACCEPTED, *sipp.bye(4)), ("transfer_presumed", None, None, "refer"), "transferred"),
        (
            (sipp.within("BYE", 4), sipp.receive(200)),
            ("caller_abandoned", None, None, None),
            "caller",
        ),
    ],
    ids=["done", "target busy", "refused", "hung up before NOTIFY", "hung up before the answer"],
)
async def test_a_refer_and_what_becomes_of_it(
    place: Place, steps: tuple[str, ...], outcome: tuple[object, ...], reason: str
) -> None:
    when_dialled(place.gateway, lambda call_id: place.gateway.want(call_id, "transfer", cold()))
    await place.run(*referred(*steps))
    (ended,) = place.gateway.of("intent.outcome")
    assert (ended["state"], ended["reason"], ended["sip_code"], ended["method_used"]) == outcome
    assert [event["reason"] for event in place.gateway.of("call.ended")] == [reason]
    place.gateway.numbered_without_gaps()


async def test_a_refer_that_nobody_speaks_of_any_more(tmp_path: Path) -> None:
    sipp.find_sipp()
    async with hosting(tmp_path, notify_seconds=0.2) as place:
        when_dialled(place.gateway, lambda call_id: place.gateway.want(call_id, "transfer", cold()))
        await place.run(*referred(ACCEPTED, *sipp.hung_up()))
        (ended,) = place.gateway.of("intent.outcome")
        assert ended["state"] == "transfer_presumed"


async def test_a_repeated_invite_is_one_call(place: Place) -> None:
    twice = sipp.invite("z9hG4bK-same-[call_id]")
    answered = (sipp.receive(180, optional=True), sipp.receive(200), sipp.within("ACK", 1))
    ringing = (sipp.receive(100), sipp.receive(180))
    place.gateway.accept_seconds = 0.5
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


def warm(**changed: Any) -> Json:
    """A warm transfer's payload."""
    intent = CallTransferIntent(destination=TARGET, mode=TransferMode.WARM, warm=WarmTransfer(), **changed)
    payload = resolve_transfer(intent)[0].model_dump(mode="json")
    return {**payload, "briefing_text": "A caller about an invoice."}


def of_person(method: str, number: int, more: str = "", body: str = "") -> tuple[str, ...]:
    """What somebody who was called sends."""
    return (
        sipp.send(
            f"""
{method} sip:host@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
From: [$3];tag=person
To: [$4]
Call-ID: [call_id]
CSeq: {number} {method}
Max-Forwards: 70
{more}""",
            body,
        ),
        sipp.receive(200),
    )


def pressed_by_person(one: str) -> tuple[str, ...]:
    """A key of theirs."""
    return of_person("INFO", 1, "Content-Type: application/dtmf-relay", f"Signal={one}")


def person(*steps: str) -> tuple[str, ...]:
    """Somebody who is called, answers and does something."""
    remember = (
        '<action><ereg regexp="<sip[^>]*>" search_in="hdr" header="To:" check_it="true" assign_to="3"/>'
        '<ereg regexp="<sip.*" search_in="hdr" header="From:" check_it="true" assign_to="4"/></action>'
    ).replace('regexp="<', 'regexp="&lt;')
    return (
        sipp.receive("INVITE", actions=remember),
        sipp.reply("180 Ringing", tag=";tag=person"),
        sipp.reply("200 OK", *sipp.session(), tag=";tag=person"),
        sipp.receive("ACK"),
        *steps,
    )


def joined() -> tuple[str, ...]:
    """A re-INVITE."""
    return (sipp.receive("INVITE"), sipp.reply("200 OK", *sipp.session()), sipp.receive("ACK"))


def transfers(place: Place, payload: Json) -> None:
    """The first keys lead to a transfer, the next ones to the end."""
    when_dialled(
        place.gateway,
        lambda call_id: place.gateway.want(call_id, "transfer", payload),
        lambda call_id: place.gateway.want(call_id, "hang_up", {"reason": "closed"}),
    )


async def test_a_warm_transfer_that_is_accepted_joins_the_two(place: Place) -> None:
    transfers(place, warm(warm_destinations=["+15550111"]))
    who = await place.start(
        "person", *person(*pressed_by_person("1"), *joined(), *of_person("BYE", 2)), port=place.trunk_port
    )
    await place.run(*sipp.call(*sipp.keys(2, "1#"), *joined(), *sipp.hung_up()))
    await who.finish()
    assert [event["reason"] for event in place.gateway.of("call.ended")] == ["transferred"]
    (ended,) = place.gateway.of("intent.outcome")
    assert (ended["state"], ended["method_used"], ended["attempt"]) == ("transferred", "bridge", 1)
    stages = [event["state"] for event in place.gateway.of("intent.progress")]
    stages = [stage for stage in stages if stage != "confirm"]  # the key may be quicker than the briefing
    assert stages == ["announce", "dial", "brief", "commit"]
    place.gateway.numbered_without_gaps()


async def test_nobody_takes_a_warm_transfer(place: Place) -> None:
    transfers(place, warm(warm_destinations=["+15550111", "+15550112"]))
    busy = (sipp.receive("INVITE"), sipp.reply("486 Busy Here", tag=";tag=busy"), sipp.receive("ACK"))
    first = await place.start("busy", *busy, port=place.trunk_port)
    caller = await place.start("caller", *sipp.call(*sipp.keys(2, "1#"), sipp.pause(500), *sipp.hung_up()))
    await first.finish()
    second = await place.start(
        "person", *person(*pressed_by_person("2"), *sipp.hung_up()), port=place.trunk_port
    )
    await second.finish()
    ended = await place.gateway.until("intent.outcome")
    assert (ended["state"], ended["reason"], ended["attempt"]) == ("returned", "declined", 2)
    place.gateway.want(ended["call_id"], "hang_up", {"reason": "closed"})
    await caller.finish()
    place.gateway.numbered_without_gaps()


async def test_a_caller_who_leaves_on_hold_leaves_nobody_ringing(place: Place) -> None:
    transfers(place, warm(warm_destinations=["+15550111"]))
    rings = (
        sipp.receive("INVITE"),
        sipp.reply("180 Ringing", tag=";tag=person"),
        sipp.receive("CANCEL"),
        sipp.reply("200 OK"),
    )
    who = await place.start("person", *rings, port=place.trunk_port)
    await place.run(*sipp.call(*sipp.keys(2, "1#"), sipp.pause(500), *sipp.bye(4)))
    await who.finish()
    (ended,) = place.gateway.of("intent.outcome")
    assert ended["state"] == "caller_abandoned"
