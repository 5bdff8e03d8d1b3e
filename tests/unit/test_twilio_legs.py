"""What persons of a warm transfer are told by REST, in the language of the number that called them."""

from typing import cast

from channels.twilio.calls import TwilioCalls
from channels.voice.steps import Links
from channels.voice.warm.legs import TwilioLegs
from gateway.domain.call_rules import CallRules, Speech
from gateway.domain.delivery import SendOutcome, Taken
from gateway.domain.warm.held import hold
from tests.unit.test_warm_held import new

GERMAN = CallRules(speech=Speech(language="de-DE", voice="Polly.Vicki-Neural"))


class Account:
    """Calls that do whatever they are told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def perform(self, sid: str, twiml: str, timeout: float) -> SendOutcome:
        """A call goes on with this document."""
        self.told.append(twiml)
        return Taken(sid)


async def test_a_person_who_is_let_go_is_told_so_in_their_language() -> None:
    account = Account()
    numbers = {"+15550100": GERMAN}
    legs = TwilioLegs(cast(TwilioCalls, account), Links("https://gateway.test"), numbers.__getitem__)
    assert await legs.part(hold(new(), 0), "CA2", "Niemand mehr da.")
    [told] = account.told
    assert '<Say language="de-DE" voice="Polly.Vicki-Neural">Niemand mehr da.</Say><Hangup' in told
