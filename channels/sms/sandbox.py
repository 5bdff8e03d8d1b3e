"""The SMS sender of a gateway without an account: it cuts replies as the real one does and sends nothing."""

from collections.abc import Sequence

from channels.sms.parts import RulesOf, sms_parts
from gateway.domain.delivery import Delivery, Failure, Part, PartText, Refused


class SandboxSms:
    """For deliveries that end in the console's outbox."""

    provider = "sandbox"

    def __init__(self, rules_of: RulesOf) -> None:
        self._rules_of = rules_of

    def split(self, delivery: Delivery) -> Sequence[PartText]:
        """The parts that would be sent."""
        return sms_parts(delivery, self._rules_of)

    async def send(self, delivery: Delivery, part: Part, timeout: float) -> Refused:
        """Refuse: sandboxed parts are settled without being sent, so nobody should ask."""
        return Refused(Failure.CONFIGURATION, "no_credentials")

    async def find(self, delivery: Delivery, part: Part) -> None:
        """Nothing was ever taken."""
        return

    async def close(self) -> None:
        """Nothing is open."""
