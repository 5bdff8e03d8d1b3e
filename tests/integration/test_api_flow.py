"""A flow over the API: its place is kept with the conversation, over restarts; a model chooses."""

from pathlib import Path

from tests.integration.api import CONFIG, gateway
from workers.agents.fake_openai import ScriptedModel

FLOW = """
[agents.desk]
kind = "flow"
start = "wish"
model = "openai:fake-model"
base_url = "{url}"
tools = ["tests.shop:find_order"]

[agents.desk.nodes]
wish = {{ type = "ask", text = "What can I do?", next = "which" }}
number = {{ type = "ask", text = "Which order?", save = "order", next = "find" }}
told = {{ type = "say", text = "It is {{found_state}}.", next = "wish" }}
person = {{ type = "handoff", reason = "no order", text = "One moment.", next = "wish" }}

[agents.desk.nodes.which]
type = "choice"
options = {{ order = {{ about = "They ask for an order", next = "number" }} }}
otherwise = "person"

[agents.desk.nodes.find]
type = "tool"
tool = "find_order"
arguments = {{ order = "{{order}}" }}
save = "found"
next = "told"
on_error = "number"
"""


async def test_a_flow_keeps_its_place(any_database_url: str | None, tmp_path: Path) -> None:
    model = ScriptedModel(["order", "none"])
    await model.start()
    more = FLOW.format(url=model.base_url)
    try:
        async with gateway(tmp_path, any_database_url, config=CONFIG, more=more) as api:
            path = await api.conversation(assistant_id="desk")
            assert (await api.turn(path, "Hi")).json["text"] == "What can I do?"
            assert (await api.turn(path, "My parcel?")).json["text"] == "Which order?"
        async with gateway(tmp_path, any_database_url, config=CONFIG, more=more) as api:
            told = (await api.turn(path, "17")).json
            assert told["text"] == "It is shipped.\n\nWhat can I do?", told
            given = (await api.turn(path, "Sing!")).json
            assert (given["path"], given["session_status"]) == ("handoff", "waiting_for_human")
            back = await api.post(f"{path}/human-turns", {"content": "Hello", "return_control": True})
            assert back.status == 200
            assert (await api.turn(path, "Thanks")).json["text"] == "What can I do?"
            rows = (await api.get(f"{path}/messages")).json["messages"]
            (used,) = [row["tool_calls"] for row in rows if row["tool_calls"]]
            assert (used[0]["name"], used[0]["arguments"]) == ("find_order", {"order": "17"})
    finally:
        await model.stop()
    assert "They ask for an order" in str(model.requests[0].messages)
