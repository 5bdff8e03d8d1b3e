"""A stored revision is the agent it was, whatever its kind."""

import json
import tomllib

import pytest

from gateway.domain.ids import named_id
from gateway.settings import SettingsError
from gateway.settings.agents import AgentKind, read_agent, restore_agent

ORGANIZATION = named_id("organisation of the tests")
MORE = """
[[policies]]
point = "reply"
action = "redact"
pattern = "[0-9]{16}"

[transfers.billing]
destination = "+15550111"
mode = "warm"
warm_destinations = ["+15550112", "sip:desk@example.org"]
"""
OF_KIND = {
    "demo": "",
    "http": 'url = "https://example.org/turn"',
    "python": 'target = "shop.agents:answer"',
    "flow": """
start = "hello"
model = "test"
tools = ["tests.shop:find_order"]
nodes.hello = { type = "ask", text = "Which order?", save = "order", next = "find" }
nodes.find = { type = "tool", tool = "find_order", next = "which", on_error = "bye" }
nodes.which = { type = "choice", options = { pay = { about = "Money", next = "call" } }, otherwise = "is" }
nodes.is = { type = "branch", cases = [{ contains = "human", next = "person" }], otherwise = "bye" }
nodes.person = { type = "handoff", reason = "asked" }
nodes.call = { type = "transfer", label = "billing" }
nodes.bye = { type = "end", text = "Bye." }
""",
    "llm": 'model = "test"\ninstructions = "Be kind."\ntools = ["shop.tools:find"]',
}


@pytest.mark.parametrize("kind", OF_KIND)
def test_every_kind_is_restored_as_it_was(kind: str) -> None:
    problems: list[str] = []
    raw = tomllib.loads(f'kind = "{kind}"\n{OF_KIND[kind]}\n{MORE}')
    agent = read_agent("front desk", raw, ORGANIZATION, problems)
    assert agent is not None, problems
    assert restore_agent(agent.settings, ORGANIZATION, agent.revision_id) == agent


def test_no_kind_is_forgotten_here() -> None:
    assert set(OF_KIND) == {kind.value for kind in AgentKind}


def test_a_stored_revision_keeps_its_name_and_refuses_what_is_not_known_any_more() -> None:
    agent = read_agent("shop", {"kind": "demo"}, ORGANIZATION, [])
    assert agent is not None
    assert restore_agent(agent.settings, ORGANIZATION, "older").revision_id == "older"
    settings = json.dumps({**json.loads(agent.settings), "mood": "sunny"})
    with pytest.raises(SettingsError, match="mood"):
        restore_agent(settings, ORGANIZATION, "older")
