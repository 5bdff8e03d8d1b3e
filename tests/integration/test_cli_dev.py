"""`gateway dev` as a process: its ready line, what it tells to try, reloading, stopping."""

import asyncio
import re
import signal
import time
from collections import Counter
from pathlib import Path

import aiohttp

from tests.integration.commands import Folder

FREE_PORTS = ("--port", "0", "--smtp-port", "0")


async def until_the_end_of_hints(process: asyncio.subprocess.Process) -> list[str]:
    """The lines that follow the ready line."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or "gateway demo" not in lines[-1]:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        assert line, lines
        lines.append(line.decode().rstrip("\n"))
    return lines


async def conversations(url: str, key: str) -> dict[str, int]:
    """The number of messages, by channel."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/v1/conversations", headers={"x-api-key": key}) as response,
    ):
        assert response.status == 200
        counts: Counter[str] = Counter()
        for item in (await response.json())["items"]:
            counts[item["channel"]] += item["message_count"]
        return counts


async def test_what_dev_tells_to_try_works(tmp_path: Path) -> None:
    async with Folder(tmp_path).running("dev", *FREE_PORTS) as (process, ready):
        match = re.fullmatch(r"ready (http://127\.0\.0\.1:\d+) smtp://127\.0\.0\.1:\d+", ready)
        assert match is not None, ready
        lines = await until_the_end_of_hints(process)
        text = "\n".join(lines)
        assert "support@localhost" in text
        assert "\x1b" not in text
        first = next(n for n, line in enumerate(lines) if line.startswith("Talk to the agent"))
        commands = "\n".join(line for line in lines[first:] if line.startswith("  "))
        shell = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", commands),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(shell.communicate(), 60)
        assert shell.returncode == 0, err.decode()
        assert "You said: Hello there" in out.decode()
        assert "<Gather" in out.decode()
        assert "The call has ended." in out.decode()
        (key,) = re.findall(r"^  KEY=(.+)$", text, re.MULTILINE)
        wanted = {"api": 2, "sms": 2, "email": 2, "voice": 1 + 3}
        give_up = time.monotonic() + 60
        while (counts := await conversations(match[1], key)) != wanted:
            assert time.monotonic() < give_up, counts
            await asyncio.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_a_given_key_is_not_printed(tmp_path: Path) -> None:
    folder = Folder(tmp_path, {"GATEWAY_API_KEYS": "a-secret:operator"})
    async with folder.running("dev", *FREE_PORTS) as (process, ready):
        lines = await until_the_end_of_hints(process)
        assert not any("a-secret" in line for line in lines)
        await conversations(ready.split()[1], "a-secret")
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_one_gateway_a_folder_and_one_a_port(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    async with folder.running("dev", *FREE_PORTS) as (process, ready):
        second = await folder.gateway("dev", *FREE_PORTS)
        assert (second.code, second.out) == (1, "")
        assert second.err == f"gateway: data is in use by process {process.pid}\n"
        port = ready.split()[1].rpartition(":")[2]
        third = await folder.gateway("dev", "--port", port, "--smtp-port", "0", "--data-dir", "other")
        assert third.code == 1
        assert f"a port is taken: HTTP wants 127.0.0.1:{port}" in third.err
        assert len(third.err.splitlines()) == 1


async def test_reload_reaches_the_running_gateway(tmp_path: Path) -> None:
    folder = Folder(tmp_path, {"GATEWAY_LOG_FORMAT": "json"})
    config = tmp_path / "gateway.toml"
    config.write_text('[agents.first]\nkind = "demo"\n')
    async with folder.running("dev", *FREE_PORTS) as (process, _):
        assert process.stderr is not None
        config.write_text("[agents.first]\nkind = 5\n")
        refused = await folder.gateway("reload")
        assert refused.code == 2
        assert "agents.first.kind" in refused.err
        config.write_text('[agents.second]\nkind = "demo"\n')
        told = await folder.gateway("reload")
        assert (told.code, told.err) == (0, "")
        assert told.out == f"told process {process.pid} to read gateway.toml again\n"
        async with asyncio.timeout(60):
            while b"reload.done" not in (line := await process.stderr.readline()):
                assert line, "it ended"
    gone = await folder.gateway("reload")
    assert gone.code == 1
    assert "no gateway runs in data" in gone.err


async def test_a_second_signal_does_not_wait_for_what_is_in_flight(tmp_path: Path) -> None:
    called = asyncio.Event()

    async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.set()
        await reader.read()
        writer.close()

    agent = await asyncio.start_server(never_answers, "127.0.0.1", 0)
    port = agent.sockets[0].getsockname()[1]
    (tmp_path / "gateway.toml").write_text(f'[agents.slow]\nkind = "http"\nurl = "http://127.0.0.1:{port}"\n')
    folder = Folder(tmp_path, {"GATEWAY_API_KEYS": "key:client", "GATEWAY_LOG_FORMAT": "json"})
    async with (
        agent,
        folder.running("dev", *FREE_PORTS) as (process, ready),
        aiohttp.ClientSession(f"{ready.split()[1]}/v1/", headers={"x-api-key": "key"}) as session,
    ):
        person = {"channel": "api", "identifier": "me"}
        async with session.post("identity/resolve", json=person) as response:
            new = {"channel": "api", "end_user_id": (await response.json())["end_user_id"]}
        async with session.post("conversations", json=new) as response:
            path = f"conversations/{(await response.json())['id']}/turns"
        asked = asyncio.ensure_future(session.post(path, json={"user_message": "hello"}))
        await asyncio.wait_for(called.wait(), 60)
        process.terminate()
        assert process.stderr is not None
        async with asyncio.timeout(60):
            while b"drain.begin" not in (line := await process.stderr.readline()):
                assert line, "it ended"
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 60) == 1
        rest = (await process.stderr.read()).decode()
        assert "Traceback" not in rest
        await asyncio.gather(asked, return_exceptions=True)


async def test_a_broken_configuration_is_told_in_lines(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text('[agents.a]\nkind = "dema"\n[[addresses]]\nchannel = "sms"\n')
    ended = await Folder(tmp_path).gateway("dev")
    assert (ended.code, ended.out) == (2, "")
    assert all(line.startswith("gateway: gateway.toml: ") for line in ended.err.splitlines())
    assert not (tmp_path / "data").exists()
