"""gateway.toml: what it declares, how it is found again, and refusals word for word."""

from pathlib import Path

import pytest

from gateway.domain.ids import named_id
from gateway.domain.message import Channel
from gateway.settings import (
    AgentKind,
    DemoAgent,
    GatewayConfig,
    HttpAgent,
    LlmAgent,
    OnReject,
    PolicyAction,
    PolicyConfig,
    PythonAgent,
    SettingsError,
    VoiceMode,
    default_config_text,
    load_config,
    organization_id_of,
)

CONTRACT_EXAMPLE = """
[organisation]
name = "Example"
default_agent = "support"

[[addresses]]
channel = "sms"
address = "+1 (555) 01-00"
agent = "support"

[[addresses]]
channel = "email"
address = "Support@Example.org"
agent = "support"

[[addresses]]
channel = "voice"
address = "+15550100"
agent = "frontdesk"
voice_mode = "relay"

[agents.support]
kind = "http"
url = "http://127.0.0.1:9000/turn"

[agents.frontdesk]
kind = "llm"
model = "openai:gpt-5"
instructions = "You answer for …"
knowledge = ["docs/faq"]
tools = ["shop.tools:find_order", "shop.tools:refund_order"]

[[agents.frontdesk.policies]]
tool = "refund_order"
action = "require_approval"
approver_role = "supervisor"
timeout_hours = 24
suspend_message = "I'm checking that with a colleague."
safe_message = "I can't do that, but a colleague will follow up."
on_reject = "close"

[agents.frontdesk.transfers.billing]
destination = "+15550111"
mode = "warm"
warm_destinations = ["+15550112", "sip:desk@example.org"]
"""

DEMO = '[agents.demo]\nkind = "demo"\n'


def read(toml: Path, text: str) -> GatewayConfig:
    toml.write_text(text, "utf-8")
    return load_config(toml, "localhost")


def refusal(toml: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(toml, text)
    return str(caught.value).replace(str(toml), "F")


def test_the_example_of_the_contract(toml: Path) -> None:
    config = read(toml, CONTRACT_EXAMPLE)
    support, frontdesk = config.agent("support"), config.agent("frontdesk")
    assert support is not None
    assert frontdesk is not None
    assert support.definition == HttpAgent(url="http://127.0.0.1:9000/turn")
    assert config.default_agent() is support
    llm = frontdesk.definition
    assert isinstance(llm, LlmAgent)
    assert frontdesk.kind is AgentKind.LLM
    assert llm.tools == ("shop.tools:find_order", "shop.tools:refund_order")
    assert llm.policies == (
        PolicyConfig(
            tool="refund_order",
            action=PolicyAction.REQUIRE_APPROVAL,
            approver_role="supervisor",
            timeout_hours=24,
            suspend_message="I'm checking that with a colleague.",
            safe_message="I can't do that, but a colleague will follow up.",
            on_reject=OnReject.CLOSE,
        ),
    )
    assert llm.transfers["billing"].warm_destinations == ("+15550112", "sip:desk@example.org")
    voice = config.address(Channel.VOICE, "+15550100")
    assert voice is not None
    assert (voice.agent, voice.voice_mode) == ("frontdesk", VoiceMode.RELAY)


def test_addresses_are_found_in_any_spelling_and_by_channel(toml: Path) -> None:
    config = read(toml, CONTRACT_EXAMPLE)
    sms = config.address(Channel.SMS, "+1-555-01.00")
    assert sms is not None
    assert (sms.address, sms.agent, sms.voice_mode) == ("+15550100", "support", None)
    email = config.address(Channel.EMAIL, "SUPPORT@example.ORG")
    assert email is not None
    assert email.address == "support@example.org"
    assert config.address(Channel.SMS, "+15550199") is None
    assert config.address(Channel.SMS, "support@example.org") is None
    assert config.address(Channel.API, "+15550100") is None
    assert config.addresses_of(Channel.EMAIL) == (email,)
    assert config.addresses_of(Channel.API) == ()


def test_ids_follow_from_names_and_revisions_from_settings(toml: Path) -> None:
    config = read(toml, CONTRACT_EXAMPLE)
    agent = config.agent("support")
    assert agent is not None
    assert config.organization_id == organization_id_of("Example") == named_id("Example")
    assert agent.id == named_id(config.organization_id, "support")
    assert config.agent(agent.id.upper()) is agent
    assert config.agent("nobody") is None
    assert config.agent(named_id("else")) is None
    assert len(agent.revision_id) == 64
    same = read(toml, CONTRACT_EXAMPLE.replace('kind = "http"', 'policies = []\nkind = "http"'))
    other = read(toml, CONTRACT_EXAMPLE.replace(":9000", ":9001"))
    assert same == config
    assert [c.agents["support"].revision_id == agent.revision_id for c in (same, other)] == [True, False]
    assert other.agents["frontdesk"].revision_id == config.agents["frontdesk"].revision_id
    assert other.agents["support"].id == agent.id


def test_the_only_agent_is_the_default_one(toml: Path) -> None:
    only = read(toml, DEMO + '[[addresses]]\nchannel = "sms"\naddress = "12345"\n')
    assert only.default_agent() is only.agents["demo"]
    assert only.addresses[Channel.SMS, "12345"].agent == "demo"
    two = read(toml, DEMO + '[agents.py]\nkind = "python"\ntarget = "shop.agent:answer"\n')
    assert two.default_agent() is None
    assert two.agents["py"].definition == PythonAgent(target="shop.agent:answer")
    assert read(toml, "").default_agent() is None


def test_the_built_in_configuration(toml: Path) -> None:
    config = load_config(None, "example.org")
    assert config.organisation == "Example"
    assert list(config.addresses) == [
        (Channel.SMS, "+15550100"),
        (Channel.EMAIL, "support@example.org"),
        (Channel.VOICE, "+15550100"),
    ]
    assert {entry.agent for entry in config.addresses.values()} == {"demo"}
    assert config.addresses[Channel.VOICE, "+15550100"].voice_mode is VoiceMode.WEBHOOK
    assert config.agents["demo"].definition == DemoAgent()
    assert read(toml, default_config_text("example.org")) == config
