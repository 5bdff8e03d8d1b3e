"""Flows: refused where they are not whole, drawn, and gone through turn by turn."""

import tomllib
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

import pytest

from gateway.domain.agent import ToolAnswered, TurnRequest
from gateway.domain.clock import Clock
from gateway.domain.ids import named_id
from gateway.domain.message import Channel
from gateway.domain.reply import ReplyDraft
from gateway.domain.steps import AgentStep, Digest, Embedded, Fact, PolicyApplied, Progress
from gateway.domain.transfers import Transfers
from gateway.domain.turn import Path as TurnPath
from gateway.domain.turn import Reply
from gateway.settings import FlowAgent as FlowDefinition
from gateway.settings.agents import read_agent
from tests import shop
from tests.turns import turn_of
from workers.agents.flow.agent import FlowAgent
from workers.agents.flow.diagram import mermaid
from workers.agents.http import HttpAgents
from workers.agents.tools.toolbox import Toolbox, flow_tools_of

DESK = """
kind = "flow"
start = "hello"
model = "test"
tools = ["tests.shop:find_order", "tests.shop:refund_order"]

[nodes.hello]
type = "say"
text = "Hello {customer}."
next = "wish"

[nodes.wish]
type = "ask"
text = "Order or refund?"
save = "wish"
next = "which"

[nodes.which]
type = "branch"
on = "wish"
cases = [
  { contains = "human", next = "person" },
  { equals = "pin", next = "pin" },
  { matches = "^(order|refund)", next = "number" },
]
otherwise = "guess"

[nodes.guess]
type = "choice"
options = { order = { about = "They ask for an order", next = "number" } }
otherwise = "wish"

[nodes.number]
type = "ask"
text = "Which order?"
save = "order"
next = "find"

[nodes.find]
type = "tool"
tool = "find_order"
arguments = { order = "{order}" }
save = "found"
next = "told"
on_error = "number"

[nodes.told]
type = "end"
text = "Order {order} is {found_state}."
reason = "told"

[nodes.pin]
type = "digits"
text = "Your PIN, please."
max_digits = 4
next = "person"

[nodes.person]
type = "handoff"
reason = "asked for {wish}"
text = "A colleague takes over."
next = "wish"
"""


def flow_of(text: str) -> tuple[FlowDefinition | None, list[str]]:
    problems: list[str] = []
    found = read_agent("desk", tomllib.loads(text), named_id("organisation of the tests"), problems)
    definition = None if found is None else found.definition
    assert definition is None or isinstance(definition, FlowDefinition)
    return definition, problems


def desk() -> FlowDefinition:
    definition, problems = flow_of(DESK)
    assert definition is not None, problems
    return definition


def tools_of(definition: FlowDefinition) -> Toolbox:
    return flow_tools_of(definition, HttpAgents(None, Clock()))


class Talk:
    """A conversation with the flow, as the turn worker holds it."""

    def __init__(self, channel: Channel = Channel.API, *, picks: str | None = None) -> None:
        self.channel = channel
        self.picks = picks
        self.digest: dict[str, Any] | None = None
        definition = desk()
        self.agent = FlowAgent(definition, tools_of(definition), self._choose)

    async def _choose(self, turn: TurnRequest, question: str, options: Mapping[str, str]) -> str | None:
        assert list(options) == ["order"]
        return self.picks

    async def steps(self, text: str, **more: Any) -> list[AgentStep]:
        update = {"digest": self.digest, "context_variables": {"customer": "Ada"}, **more}
        turn = turn_of(text, channel=self.channel.value).model_copy(update=update)
        async with aclosing(self.agent.answer(turn)) as steps:  # type: ignore[type-var]
            return [step async for step in steps]

    async def say(self, text: str) -> Reply:
        draft = ReplyDraft(self.channel, Transfers(), started_at=0)
        for step in await self.steps(text):
            if isinstance(step, Digest):
                self.digest = {"up_to": step.up_to, "text": step.text}
            elif not isinstance(step, Progress | PolicyApplied | Fact | Embedded):
                draft.add(step, at=0)
        return draft.finish()


async def test_a_flow_asks_calls_and_ends() -> None:
    talk = Talk()
    assert (await talk.say("Hi")).text == "Hello Ada.\n\nOrder or refund?"
    assert (await talk.say("Order, please")).text == "Which order?"
    wrong = await talk.say("the blue one")
    assert wrong.text == "Which order?"
    assert "order" in (wrong.messages[0].tool_calls[0].error or "")
    last = await talk.say("17")
    assert (last.text, last.path, last.end_reason) == (
        "Order 17 is shipped.",
        TurnPath.CLOSED_BY_AGENT,
        "told",
    )
    assert last.messages[0].tool_calls[0].output["state"] == "shipped"


@pytest.mark.parametrize(("picks", "said"), [("order", "Which order?"), (None, "Order or refund?")])
async def test_a_model_may_choose(picks: str | None, said: str) -> None:
    talk = Talk(picks=picks)
    await talk.say("Hi")
    assert (await talk.say("Where is my parcel?")).text == said


async def test_a_handoff_goes_on_where_it_says() -> None:
    talk = Talk()
    await talk.say("Hi")
    given = await talk.say("HUMAN")
    assert (given.path, given.handoff_reason, given.text) == (
        TurnPath.HANDOFF,
        "asked for HUMAN",
        "A colleague takes over.",
    )
    assert (await talk.say("I am back")).text == "Order or refund?"


async def test_on_a_call_keys_are_asked_for() -> None:
    talk = Talk(Channel.VOICE)
    assert (await talk.say("")).text == "Hello Ada. Order or refund?"
    asked = await talk.say(" PIN ")
    assert asked.intents[0]["payload"]["max_digits"] == 4
    assert (await talk.say("1234")).path is TurnPath.HANDOFF


async def test_a_turn_that_starts_over_calls_no_tool_twice_and_an_unproven_sender_none() -> None:
    definition, problems = flow_of(DESK.replace('tool = "find_order"', 'tool = "refund_order"'))
    assert definition is not None, problems
    talk = Talk()
    talk.agent = FlowAgent(definition, tools_of(definition), None)
    shop.refunds.clear()
    await talk.say("Hi")
    await talk.say("refund")
    first = await talk.steps("17")
    (kept,) = [step.state for step in first if isinstance(step, Progress)]
    again = await talk.steps("17", state=kept)
    assert len(shop.refunds) == 1
    assert [s for s in again if not isinstance(s, Progress)] == [
        s for s in first if not isinstance(s, Progress)
    ]
    unproven = await talk.steps("17", proven=False)
    assert [s.error for s in unproven if isinstance(s, ToolAnswered)] == ["nobody knows who writes"]
    assert len(shop.refunds) == 1


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ('start = "hello"', 'start = "helo"', "start: there is no node 'helo'; nearest: hello"),
        ('next = "which"', 'next = "witch"', "nodes.wish: there is no node 'witch'; nearest: which"),
        (
            '{ equals = "pin", next = "pin" },',
            "",
            "nodes.pin: nothing leads there from hello",
        ),
        (
            'otherwise = "wish"',
            'otherwise = "which"',
            "a dead end: which → guess → which goes round without ever asking or ending",
        ),
        ('tool = "find_order"', 'tool = "find"', "nodes.find: no tool is called find; name it in tools"),
        ('model = "test"', "", "nodes.guess: a choice needs a model"),
        ('type = "digits"', 'type = "digit"', "type: must be one of say, ask, digits, "),
        ("max_digits = 4", "max_digit = 4", "max_digit: unknown key; nearest valid name: max_digits"),
        (
            '{ contains = "human",',
            '{ contains = "human", equals = "human",',
            "must have one of equals, contains, matches",
        ),
        (
            'type = "end"\ntext = "Order {order} is {found_state}."\nreason = "told"',
            'type = "transfer"\nlabel = "billing"',
            "nodes.told: no transfer is called billing",
        ),
        ("[nodes.pin]", '[nodes."the pin"]', "must be a name"),
    ],
)
def test_what_is_not_whole_is_refused_with_one_clear_error(before: str, after: str, problem: str) -> None:
    assert before in DESK
    definition, problems = flow_of(DESK.replace(before, after))
    assert definition is None
    assert len(problems) == 1, problems
    assert problem in problems[0].replace('"', "'")


def test_a_flow_is_drawn() -> None:
    drawn = mermaid(desk()).splitlines()
    assert drawn[0] == "flowchart TD"
    assert '    n_wish("wish: ask Order or refund?")' in drawn
    assert '    n_which -->|"#94;#40;order#124;refund#41;"| n_number' in drawn
    assert '    n_find -->|"error"| n_number' in drawn
    assert '    n_told(["told: end Order #123;order#125; is #123;found_state#125;."])' in drawn
    assert len([line for line in drawn if "-->" in line]) == 14
