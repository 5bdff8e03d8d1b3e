"""When no person comes, over HTTP: the configured text, and the agent has the conversation again."""

import asyncio
from pathlib import Path

from tests.integration.api import gateway

FALLBACKS = """
[channels.api]
handoff_timeout = "1s"
handoff_timeout_text = "Nobody is free just now."
"""


async def test_a_handoff_that_nobody_takes_is_given_back(
    any_database_url: str | None, tmp_path: Path
) -> None:
    async with gateway(tmp_path, any_database_url, more=FALLBACKS) as api:
        path = await api.conversation(assistant_id="demo")
        answer = await api.turn(path, "a human, please")
        assert answer.json["session_status"] == "waiting_for_human"
        async with asyncio.timeout(60):
            while (found := (await api.get(path)).json)["status"] != "active":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        last = found["recent_turns"][-1]
        assert (last["content"], last["authored_by"]) == ("Nobody is free just now.", "system")
        assert (await api.turn(path, "well then")).json["path"] == "single"
