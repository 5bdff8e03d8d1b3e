"""Agents built from a configuration."""

from pathlib import Path

import pytest

from gateway.domain.agent import AgentFailed, CallTransferRequested
from gateway.domain.clock import Clock
from gateway.domain.intent import TransferMode
from gateway.domain.served_agent import ServedAgent
from gateway.settings import SettingsError, load_config
from workers.agents.catalogue import Catalogue, build_agents
from workers.agents.demo import DemoAgent
from workers.agents.http import HttpAgent, HttpAgents
from workers.agents.python import PythonAgent

HTTP = HttpAgents(None, Clock())
ALL = """
[agents.demo]
kind = "demo"

[agents.remote]
kind = "http"
url = "http://127.0.0.1:9000/turn"

[agents.local]
kind = "python"
target = "tests.unit.test_python_agent:echo"
"""
TRANSFER = """
[agents.{slug}.transfers.billing]
destination = "+15550111"
mode = "warm"
warm_destinations = ["sip:desk@example.org"]
"""


def built(folder: Path, text: str) -> tuple[Catalogue, dict[str, ServedAgent]]:
    path = folder / "gateway.toml"
    path.write_text('[organisation]\nname = "Example"\n' + text)
    config = load_config(path, "localhost")
    catalogue = build_agents(config, HTTP)
    return catalogue, {agent.slug: catalogue[agent.id] for agent in config.agents.values()}


def test_each_kind_is_built_and_found_by_its_id(tmp_path: Path) -> None:
    catalogue, by_slug = built(tmp_path, ALL)
    assert len(catalogue) == 3
    assert isinstance(by_slug["demo"].agent, DemoAgent)
    assert isinstance(by_slug["remote"].agent, HttpAgent)
    assert isinstance(by_slug["local"].agent, PythonAgent)


def test_labels_are_for_all_and_raw_destinations_for_the_operators_own_code(tmp_path: Path) -> None:
    text = ALL + "".join(TRANSFER.format(slug=slug) for slug in ("demo", "remote", "local"))
    _, by_slug = built(tmp_path, text)
    for served in by_slug.values():
        intent = served.transfers.resolve(CallTransferRequested(label="billing"))
        assert (intent.destination, intent.mode, intent.label) == ("+15550111", TransferMode.WARM, "billing")
        assert intent.warm_destinations == ["sip:desk@example.org"]
    raw = CallTransferRequested(destination="+15550199")
    assert by_slug["remote"].transfers.resolve(raw).destination == "+15550199"
    assert by_slug["local"].transfers.resolve(raw).destination == "+15550199"
    with pytest.raises(AgentFailed):
        by_slug["demo"].transfers.resolve(raw)


def untyped(order):  # type: ignore[no-untyped-def]
    """A tool that no model could call."""


def test_every_agent_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    wrong = """
[agents.model]
kind = "llm"
model = "test"
tools = ["tests.unit.test_catalogue:missing", "tests.unit.test_catalogue:untyped"]

[agents.broken]
kind = "python"
target = "tests.unit.test_python_agent:missing"
"""
    with pytest.raises(SettingsError) as caught:
        built(tmp_path, ALL + wrong)
    assert caught.value.problems == (
        "agents.model: tools: tests.unit.test_catalogue:missing: tests.unit.test_catalogue has no missing",
        "agents.model: tools: tests.unit.test_catalogue:untyped: "
        "the parameter order must have a name and a type",
        "agents.broken: tests.unit.test_python_agent:missing: tests.unit.test_python_agent has no missing",
    )


def test_a_secret_that_is_none_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="base64"):
        HttpAgents("whsec_!", Clock())
