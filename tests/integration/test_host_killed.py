"""The reference voice host as a process: killed in a transfer; a broker that is killed under a call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from channels.voice.host.ledger import Json
from gateway.bench.services import PrivateRabbit
from gateway.domain.intent import CallTransferIntent, TransferMode, resolve_transfer
from tests.integration.host_core import HOST, SECONDS, Core, Phones, core_at, intent, up
from tests.processes import Leash, Process

FIRST, SECOND = "+15550111", "+15550112"


@asynccontextmanager
async def host_process(folder: Path, amqp: tuple[str, str], trunk: tuple[str, int]) -> AsyncIterator[Process]:
    """`python -m channels.voice.host`, ready."""
    leash = Leash()
    options = {
        "--host-id": "h1",
        "--amqp-url": amqp[0],
        "--amqp-prefix": amqp[1],
        "--sip": f"{HOST}:0",
        "--trunk": f"{trunk[0]}:{trunk[1]}",
        "--state": str(folder),
    }
    command = ["-m", "channels.voice.host", *(part for option in options.items() for part in option)]
    process = Process("host", command, {}, folder, leash)
    try:
        await process.start()
        yield process
    finally:
        process.stop()
        leash.close()


def where(process: Process) -> tuple[str, int]:
    """Where it takes calls."""
    host, _, port = process.ready_line.removeprefix("ready sip:").partition(":")
    return host, int(port)


async def test_a_host_that_is_killed_while_a_caller_holds_dials_nobody_twice(
    rabbit_url: str, amqp_prefix: str, tmp_path: Path
) -> None:
    phones = Phones()
    trunk = await phones.open()
    async with (
        core_at(rabbit_url, amqp_prefix) as core,
        host_process(tmp_path, (rabbit_url, amqp_prefix), trunk) as process,
    ):
        caller, call_id = await up(core, where(process))
        wanted, progress = await _put_on_hold(core, call_id)
        await process.kill()
        await process.start()
        lost, ended = await core.news(2, progress)
        assert (lost["intent_id"], lost["state"]) == (wanted["intent_id"], "host_lost")
        assert lost["seq"] == progress[-1]["seq"] + 1
        assert (ended["kind"], ended["reason"]) == ("call.ended", "host_lost")
        for _ in range(2):
            await core.tell("voice.intent", wanted)
            assert await core.events(1) == [lost]
        await core.nothing_waits()
        assert phones.called == [FIRST]
        caller.close()
    phones.close()


async def _put_on_hold(core: Core, call_id: str, dial_seconds: int = 100) -> tuple[Json, list[Json]]:
    """Have the caller transferred to people whose phones ring; the intent, and the reports so far."""
    transfer = CallTransferIntent(
        destination=FIRST, mode=TransferMode.WARM, warm_destinations=[FIRST, SECOND], max_retries=1
    )
    payload = resolve_transfer(transfer)[0].model_dump(mode="json")
    payload["warm"]["max_dial_seconds"] = dial_seconds
    wanted = intent(call_id, "transfer", payload)
    await core.tell("voice.intent", wanted)
    progress = await core.events(2)
    assert [event["state"] for event in progress] == ["announce", "dial"]
    return wanted, progress


async def test_a_call_goes_on_while_its_broker_is_killed(
    private_rabbit: PrivateRabbit, amqp_prefix: str, tmp_path: Path
) -> None:
    amqp, phones = (private_rabbit.url, amqp_prefix), Phones()
    async with core_at(*amqp):
        pass  # a quorum queue that is younger than a second or two does not survive what follows
    async with host_process(tmp_path, amqp, await phones.open()) as process:
        async with core_at(*amqp) as core:
            caller, call_id = await up(core, where(process))
            patient = {"max_digits": 2, "inter_digit_timeout_ms": 60_000}
            await core.tell("voice.intent", intent(call_id, "collect_dtmf", patient))
            _, reports = await _put_on_hold(core, call_id, dial_seconds=3)
            reports += await core.events(1)  # the first person has not answered
        await asyncio.to_thread(private_rabbit.kill)
        async with asyncio.timeout(SECONDS):
            # nor has the second person, and no broker tells of it
            while '"returned"' not in (tmp_path / "h1.jsonl").read_text():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await caller.press("12")
        await asyncio.to_thread(private_rabbit.start)
        async with core_at(*amqp) as core:
            await core.tell("voice.intent", intent(call_id, "hang_up", {"reason": "closed"}))
            while reports[-1]["kind"] != "call.ended":
                reports += await core.events(1)
        await asyncio.wait_for(caller.hung_up.wait(), SECONDS)
        caller.close()
    phones.close()
    assert phones.called == [FIRST, SECOND]
    assert [(e["digits"], e["ended_by"]) for e in reports if "digits" in e] == [("12", "max_digits")]
    told = {e["seq"]: e["state"] for e in reports if "seq" in e}  # what was not confirmed comes twice
    states = ["announce", "dial", "dial", "returned", "collected", "done"]
    assert list(told.items()) == list(enumerate(states))
