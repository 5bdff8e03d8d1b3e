"""Daily caps and prices in gateway.toml, and what meters are made of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.domain.conversation import Conversation, Priority, SessionType, Status
from gateway.domain.message import Channel
from gateway.domain.usage import MILLION, Caps, Meter, Usage
from gateway.service.routes import send_rules_of, turn_meter_of
from gateway.settings import GatewayConfig, SettingsError, load_config

CAPPED = """
[organisation]
messages_per_day = 100
spend_per_day = 2.5
[channels.sms]
segment_price = 0.0079
[[addresses]]
channel = "sms"
address = "+15550100"
[[addresses]]
channel = "sms"
address = "+15550101"
segment_price = 0.04
[agents.demo]
kind = "demo"
input_price = 0.15
output_price = 0.6
"""


def read(toml: Path, text: str) -> GatewayConfig:
    toml.write_text(text, "utf-8")
    return load_config(toml, "localhost")


def conversation_with(config: GatewayConfig, slug: str) -> Conversation:
    agent = config.agents[slug]
    return Conversation(
        id="c",
        organization_id=config.organization_id,
        end_user_id="e",
        channel=Channel.API,
        status=Status.ACTIVE,
        session_type=SessionType.LIVE,
        priority=Priority.NORMAL,
        assistant_id=agent.id,
        assigned_agent_id=agent.id,
        pinned_revision_id=agent.revision_id,
        our_address=None,
        their_address=None,
        message_count=0,
        started_at=0,
        created_at=0,
        updated_at=0,
    )


def test_caps_and_prices_become_meters(toml: Path) -> None:
    config = read(toml, CAPPED)
    caps = Caps(organization_id=config.organization_id, messages_per_day=100, spend_per_day=5 * MILLION // 2)
    assert config.caps == caps
    assert send_rules_of(config, Channel.SMS, "+15550100").meter == Meter(caps=caps, segment_price=7900)
    assert send_rules_of(config, Channel.SMS, "+15550101").meter == Meter(caps=caps, segment_price=40_000)
    assert send_rules_of(config, Channel.EMAIL, "a@example.org").meter == Meter(caps=caps)
    own = conversation_with(config, "demo")
    meter = turn_meter_of(config, own)
    assert meter == Meter(caps=caps, input_price=150_000, output_price=600_000)
    assert meter.turn(1000, 100) == Usage(turns=1, tokens=1100, spend=210)
    assert turn_meter_of(config, replace(own, organization_id="another")) is None


def test_embeddings_have_a_price_of_their_own(toml: Path) -> None:
    model = '[agents.llm]\nkind = "llm"\nmodel = "test"\nembeddings = "test"\nembeddings_price = 0.02\n'
    config = read(
        toml, CAPPED.replace("[organisation]\n", '[organisation]\ndefault_agent = "demo"\n') + model
    )
    own = conversation_with(config, "llm")
    assert turn_meter_of(config, own) == Meter(caps=config.caps, embeddings_price=20_000)


def test_without_a_cap_nothing_is_metered(toml: Path) -> None:
    config = read(toml, CAPPED.replace("messages_per_day = 100\nspend_per_day = 2.5\n", ""))
    assert config.caps.none
    assert send_rules_of(config, Channel.SMS, "+15550100").meter is None


def test_a_price_is_no_part_of_a_revision(toml: Path) -> None:
    revision = read(toml, CAPPED).agents["demo"].revision_id
    assert read(toml, CAPPED.replace("0.15", "0.3")).agents["demo"].revision_id == revision


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("= 100", "= 0", "organisation.messages_per_day: must be at least 1, not 0"),
        ("= 2.5", "= 0", "organisation.spend_per_day: must be more than 0, not 0"),
        ("= 2.5", "= inf", "organisation.spend_per_day: must be a number, not inf"),
        ("= 0.15", "= -1", "agents.demo.input_price: must be at least 0, not -1"),
        (
            "[channels.sms]",
            "[channels.email]",
            "channels.email: segment_price belongs to text messages (sms)",
        ),
    ],
)
def test_refusals(toml: Path, old: str, new: str, line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(toml, CAPPED.replace(old, new, 1))
    assert str(caught.value) == f"{toml}: {line}"
