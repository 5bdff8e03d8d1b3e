"""What the README says is true: configurations load, names exist, links lead somewhere, the agent runs."""

import importlib
import re
from pathlib import Path

import pytest

from gateway.domain.agent import AgentEvent, Delta
from gateway.settings import load_config
from gateway.settings.environment import NAMES
from tests.readme import README, ROOT, blocks, python_file
from tests.turns import turn_of
from workers.agents.python import PythonAgent

TEXT = README.read_text("utf-8")
TOML = [block.text for block in blocks("toml")]


@pytest.mark.parametrize("text", TOML, ids=range(len(TOML)))
def test_every_configuration_is_valid(text: str, tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(text, "utf-8")
    assert "support" in load_config(path, "example.org").agents


def test_the_blocks_are_found_and_each_says_how_it_is_tried() -> None:
    assert len(TOML) == 17
    for block in (*blocks("toml"), *blocks("python")):
        assert block.tried_by is not None
        tried = re.search(r"tests/\S+\.py", block.tried_by)
        assert tried is not None
        assert (ROOT / tried[0]).exists()


def test_every_setting_that_is_named_exists() -> None:
    named = set(re.findall(r"\b(?:GATEWAY|TWILIO)_[A-Z_]+\b", TEXT))
    assert len(named) > 10
    assert {name if name in NAMES else name.removesuffix("_FILE") for name in named} <= set(NAMES)


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    headings = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert len(links) > 10
    for link in links:
        if link.startswith("#"):
            assert link.removeprefix("#") in anchors
        elif not link.startswith("https://"):
            assert (ROOT / link).exists(), link


async def test_the_agent_in_python_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_agent.py").write_text(python_file("shop_agent.py"), "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    target = re.search(r'target = "(.+)"', TEXT)
    assert target is not None
    answered: list[AgentEvent] = [event async for event in PythonAgent(target[1]).answer(turn_of("Hello"))]
    assert answered == [Delta(text="You asked: Hello")]
