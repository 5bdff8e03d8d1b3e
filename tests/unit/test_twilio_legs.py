"""What persons of a warm transfer are told by REST, in the language of the number that called them."""

import logging
from typing import cast

import pytest

from channels.twilio.calls import TwilioCalls
from channels.voice.steps import Links
from channels.voice.warm.legs import TwilioLegs
from gateway.domain.call_rules import CallRules, Speech
from gateway.domain.delivery import Failure, OutcomeUnknown, Refused, SendOutcome, Taken
from gateway.domain.warm.held import hold
from tests.unit.test_warm_held import new

GERMAN = CallRules(speech=Speech(language="de-DE", voice="Polly.Vicki-Neural"))


class Account:
    """Calls that do whatever they are told, unless Twilio says something else."""

    def __init__(self, outcome: SendOutcome | None = None) -> None:
        self.told: list[str] = []
        self._outcome = outcome

    async def perform(self, sid: str, what: str, timeout: float) -> SendOutcome:
        """A call goes on with this document, or from here."""
        self.told.append(what)
        return self._outcome or Taken(sid)

    redirect = perform

    async def hang_up(self, sid: str, timeout: float) -> SendOutcome:
        """A call ends."""
        return await self.perform(sid, "", timeout)


def legs_of(account: Account) -> TwilioLegs:
    """Those of our German number."""
    numbers = {"+15550100": GERMAN}
    return TwilioLegs(cast(TwilioCalls, account), Links("https://gateway.test"), numbers.__getitem__)


async def test_a_person_who_is_let_go_is_told_so_in_their_language() -> None:
    account = Account()
    assert await legs_of(account).part(hold(new(), 0), "CA2", "Niemand mehr da.")
    [told] = account.told
    assert '<Say language="de-DE" voice="Polly.Vicki-Neural">Niemand mehr da.</Say><Hangup' in told


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Refused(Failure.CONFIGURATION, "20003"), "20003"),
        (Refused(Failure.PERMANENT, "403"), "403"),
        (Refused(Failure.TRANSIENT, "20429"), "20429"),
        (OutcomeUnknown("http_500"), "http_500"),
    ],
)
async def test_whoever_twilio_leaves_where_they_are_is_told_again(
    outcome: SendOutcome, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The keys of the account may be wrong for a while: nobody waits in a silent room for that."""
    legs = legs_of(Account(outcome))
    with caplog.at_level(logging.WARNING, "channels.voice.warm.legs"):
        assert not await legs.recall(hold(new(), 0), 0)
        assert not await legs.hang_up("CA2")
        assert not await legs.part(hold(new(), 0), "CA2", "Goodbye.")
    noted = [(vars(one)["action"], vars(one)["call_sid"], vars(one)["code"]) for one in caplog.records]
    assert noted == [("voice.command_refused", sid, code) for sid in ("CA1", "CA2", "CA2")]
