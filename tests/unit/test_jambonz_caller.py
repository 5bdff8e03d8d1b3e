"""Which of the calls that jambonz lists is the one whose making was not learnt: never a stranger's."""

from collections.abc import Sequence
from typing import Any

import pytest

from channels.voice.jambonz.account import JambonzAccount
from channels.voice.jambonz.caller import JambonzCaller
from channels.voice.jambonz.rest import JambonzRest, ListedCall
from gateway.domain.call_rules import CallRules
from gateway.domain.outgoing_call import CallState, Found, OutgoingCall

OURS, THEIRS = "+15550100", "+14155550199"
ACCOUNT = JambonzAccount(
    api_url="https://jambonz.test", account_sid="account", application_sid="application", api_key="a-key"
)
WISH = OutgoingCall(
    conversation_id="conversation",
    organization_id="organization",
    ours=OURS,
    theirs=THEIRS,
    state=CallState.DIALING,
    attempt=1,
    claimed_at=0,
)
MADE = {"call_sid": "call-1", "call_status": "ringing", "from": OURS, "to": THEIRS}


async def nobody(ids: Sequence[str]) -> set[str]:
    """No call is bound to a conversation."""
    return set()


@pytest.mark.parametrize(
    ("listed", "ours"),
    [
        ({}, True),
        ({"from": OURS.removeprefix("+")}, True),
        ({"application_sid": "application", "parent_call_sid": None}, True),
        ({"application_sid": "another"}, False),
        ({"application_sid": "application", "parent_call_sid": "call-0"}, False),
        ({"to": "+14155550198"}, False),
        ({"call_status": "completed"}, False),
    ],
)
async def test_a_call_that_is_not_ours_is_not_taken_for_it(
    monkeypatch: pytest.MonkeyPatch, listed: dict[str, Any], ours: bool
) -> None:
    async def answer(_rest: JambonzRest, _to: str, _sender: str) -> Sequence[ListedCall]:
        return [ListedCall.model_validate(MADE | listed)]

    monkeypatch.setattr(JambonzRest, "listed", answer)
    caller = JambonzCaller(ACCOUNT, rules_of=lambda _number: CallRules(), bound=nobody)
    assert await caller.find(WISH) == (Found("call-1", CallState.RINGING, "ringing") if ours else None)


def test_the_key_is_not_shown() -> None:
    assert "a-key" not in repr(ACCOUNT) + repr(JambonzRest(ACCOUNT))
