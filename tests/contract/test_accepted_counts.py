"""What accepted messages count as: the alert that nobody answers asks for those a turn is to answer."""

from pathlib import Path

from prometheus_client import REGISTRY

from gateway.domain.message import Channel
from gateway.service.handoff import HumanTurn, Operator, human_turn
from gateway.service.ingress import Acceptance
from gateway.settings import load_config
from tests.contract.conftest import MovableStore as Store
from tests.contract.scene import OURS, PARTITIONS, sms

CONFIG = f"""
[[addresses]]
channel = "sms"
address = "{OURS}"

[agents.demo]
kind = "demo"
"""


def counted(metric: str, **labels: str) -> float:
    """How often something was counted at texts."""
    return REGISTRY.get_sample_value(metric, {"channel": Channel.SMS, **labels}) or 0


async def test_what_a_person_is_to_answer_is_no_turn_that_is_due(store: Store, tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(CONFIG)
    config = load_config(tmp_path / "gateway.toml", "localhost")
    accept = Acceptance(store, lambda: config, PARTITIONS)
    due = counted("gateway_turns_due_total")
    new = counted("gateway_accepted_total", result="new")
    first = sms("hello")
    accepted = await accept(first)
    assert (await accept(first)).duplicate
    assert counted("gateway_turns_due_total") == due + 1
    olga = Operator(config.organization_id, "olga", admin=False)
    takes = HumanTurn(content=None, return_control=False, take_over=True)
    await store.write(human_turn, accepted.conversation_id, olga, takes, PARTITIONS)
    await accept(sms("is anybody there?"))
    assert counted("gateway_turns_due_total") == due + 1
    assert counted("gateway_accepted_total", result="new") == new + 2
