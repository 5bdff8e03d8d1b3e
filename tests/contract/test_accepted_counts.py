"""What accepted messages count as: the alert that nobody answers asks for those a turn is to answer."""

from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from gateway.domain.errors import UnknownAddress
from gateway.domain.message import Channel
from gateway.domain.ports.bus import DONE
from gateway.service.brake import pause
from gateway.service.handoff import HumanTurn, Operator, human_turn
from gateway.service.ingress import Acceptance
from gateway.settings import load_config
from tests.contract.conftest import MovableStore as Store
from tests.contract.house import opened
from tests.contract.scene import ORGANIZATION, OURS, PARTITIONS, arrive, sms

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


async def test_what_a_pause_keeps_is_counted_by_the_worker_that_found_it(store: Store) -> None:
    """So an alert can tell a pause from workers that are gone."""
    braked = REGISTRY.get_sample_value("gateway_turns_braked_total")
    assert braked is not None
    async with opened(store) as house:
        await arrive(house.store, sms("one"))
        await house.store.write(pause, ORGANIZATION, ORGANIZATION, by="olga", reason=None)
        await arrive(house.store, sms("two"))
        for bell in await house.bells("message.inbound"):
            assert await house.turns.consume(bell) == DONE
        assert await house.bells("message.outbound") == []
    assert REGISTRY.get_sample_value("gateway_turns_braked_total") == braked + 2


async def test_a_reload_sends_messages_elsewhere(store: Store, tmp_path: Path) -> None:
    file, configs = tmp_path / "gateway.toml", []
    for text in (CONFIG, CONFIG.replace("agents.demo", "agents.other"), CONFIG.replace(OURS, "+15550199")):
        file.write_text(text)
        configs.append(load_config(file, "localhost"))
    in_force = configs[0]
    accept = Acceptance(store, lambda: in_force, PARTITIONS)
    first = accept.route(sms("hello"))
    assert accept.route(sms("hello again")) is first
    in_force = configs[1]
    assert accept.route(sms("hello")).agent_id != first.agent_id
    in_force = configs[2]
    with pytest.raises(UnknownAddress):
        accept.route(sms("hello"))
    in_force = configs[0]
    assert accept.route(sms("hello")) == first
