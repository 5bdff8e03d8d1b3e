"""The reference voice host under SIPp: warm transfers to people who accept, decline or do nothing."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from channels.voice.host.ledger import Json
from gateway.domain.intent import CallTransferIntent, TransferMode, WarmTransfer, resolve_transfer
from tests.integration.host_core import Caller
from tests.integration.host_place import TARGET, Place, hosting, when_dialled
from tests.services import sipp


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A host."""
    sipp.find_sipp()
    async with hosting(tmp_path) as opened:
        yield opened


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


REMEMBER = (
    '<action><ereg regexp="&lt;sip[^>]*>" search_in="hdr" header="To:" check_it="true" assign_to="3"/>'
    '<ereg regexp="&lt;sip.*" search_in="hdr" header="From:" check_it="true" assign_to="4"/></action>'
)
"""Who calls whom, for what a person sends later."""


def picks_up() -> tuple[str, ...]:
    """Answer what rings."""
    return (sipp.reply("200 OK", *sipp.session(), tag=";tag=person"), sipp.receive("ACK"))


def person(*steps: str) -> tuple[str, ...]:
    """Somebody who is called, answers and does something."""
    return (
        sipp.receive("INVITE", actions=REMEMBER),
        sipp.reply("180 Ringing", tag=";tag=person"),
        *picks_up(),
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
    caller = await place.start("caller", *sipp.call(*sipp.keys(2, "1#"), *sipp.hung_up()))
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


def three_people() -> tuple[str, ...]:
    """Whoever is called: +15550111 lets it ring, +15550112 declines, anybody else takes the call."""
    by_number = "".join(
        f'<ereg regexp="1555011{n}" search_in="hdr" header="To:" check_it="false" assign_to="{variable}"/>'
        for n, variable in ((1, 5), (2, 6))
    )
    rings, declines, end = 1, 2, 3
    return (
        sipp.receive("INVITE", actions=REMEMBER.replace("</action>", f"{by_number}</action>")),
        sipp.reply("180 Ringing", tag=";tag=person"),
        sipp.goto(rings, if_set=5),
        *picks_up(),
        sipp.goto(declines, if_set=6),
        *pressed_by_person("1"),
        *joined(),
        *of_person("BYE", 2),
        sipp.goto(end),
        sipp.label(rings),
        sipp.receive("CANCEL"),
        sipp.reply("200 OK"),
        sipp.reply("487 Request Terminated", tag=";tag=person", cseq="1 INVITE"),
        sipp.receive("ACK"),
        sipp.goto(end),
        sipp.label(declines),
        *pressed_by_person("2"),
        *sipp.hung_up(),
        sipp.label(end),
    )


async def test_the_third_of_three_takes_it(place: Place) -> None:
    numbers = ["+15550111", "+15550112", "+15550113"]
    payload = warm(warm_destinations=numbers, max_retries=2)
    payload["warm"]["max_dial_seconds"] = 5  # shorter than the gateway would let anybody ask for
    transfers(place, payload)
    people = await place.start("people", *three_people(), port=place.trunk_port, calls=3)
    await place.run(*sipp.call(*sipp.keys(2, "1#"), *joined(), *sipp.hung_up()))
    await people.finish()
    (ended,) = place.gateway.of("intent.outcome")
    assert (ended["state"], ended["attempt"], ended["destination_index"]) == ("transferred", 3, 2)
    dialled = [e for e in place.gateway.of("intent.progress") if e["state"] == "dial"]
    assert [(e["attempt"], e["destination_index"]) for e in dialled] == [(1, 0), (2, 1), (3, 2)]
    assert [event["reason"] for event in place.gateway.of("call.ended")] == ["transferred"]
    place.gateway.numbered_without_gaps()


async def test_a_caller_who_leaves_on_hold_leaves_nobody_ringing(place: Place) -> None:
    await leaves(place, "dial", sipp.receive("CANCEL"), sipp.reply("200 OK"))


async def test_a_caller_who_leaves_meanwhile_leaves_nobody_on_the_line(place: Place) -> None:
    await leaves(place, "confirm", *picks_up(), *sipp.hung_up())


async def leaves(place: Place, stage: str, *steps: str) -> None:
    """The caller hangs up when the transfer has come as far as this."""
    caller = Caller(place.address)
    leaving: list[asyncio.Task[None]] = []

    def on(event: Json) -> None:
        if event["kind"] == "intent.progress" and event["state"] == stage:
            leaving.append(asyncio.create_task(caller.hang_up()))

    place.gateway.on = on
    who = await place.start(
        "person",
        *(sipp.receive("INVITE"), sipp.reply("180 Ringing", tag=";tag=person"), *steps),
        port=place.trunk_port,
    )
    assert await caller.call() == 200
    (started,) = place.gateway.of("call.started")
    place.gateway.want(started["call_id"], "transfer", warm(warm_destinations=["+15550111"]))
    await who.finish()
    ended = await place.gateway.until("call.ended")
    assert ended["reason"] == "caller"
    (outcome,) = place.gateway.of("intent.outcome")
    assert outcome["state"] == "caller_abandoned"
    await asyncio.gather(*leaving)
    caller.close()
    place.gateway.numbered_without_gaps()
