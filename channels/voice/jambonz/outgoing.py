"""A call over jambonz that we have begun: what it tells, as the reports that every provider's calls have."""

from dataclasses import dataclass

from channels.voice.jambonz.address import PROVIDER
from channels.voice.jambonz.call_states import answered_by, call_state
from channels.voice.jambonz.messages import CallStatus, Opened, Screened
from gateway.domain.call_rules import OnMachine
from gateway.domain.outgoing_call import AnsweredReport, CallReport, Standing
from gateway.domain.ports.calls import CallReports

ANSWERED = "in-progress"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One call of ours. Every method raises GatewayError."""

    reports: CallReports
    call_sid: str
    reference: str
    """Its conversation."""

    @classmethod
    def of(cls, reports: CallReports, call: Opened | CallStatus) -> "Outgoing | None":
        """None where we have not begun it."""
        ours = call.direction == "outbound" and call.reference
        return cls(reports, call.call_sid, call.reference) if ours else None

    async def progress(self, status: str) -> Standing:
        """It has come so far, in jambonz's word."""
        return await self.reports.progress(
            CallReport(
                provider=PROVIDER,
                call_id=self.call_sid,
                conversation_id=self.reference,
                state=call_state(status),
                raw=status,
            )
        )

    async def leaves_message(self) -> None:
        """It has come to where a machine is left its message."""
        await self.reports.leaves_message(self.reference, self.call_sid)

    async def screened(self, data: Screened, on_machine: OnMachine | None) -> None:
        """Machine detection has noticed something."""
        who = answered_by(data.type, on_machine)
        if who is not None:
            await self.reports.answered_by(
                AnsweredReport(call_id=self.call_sid, conversation_id=self.reference, who=who, raw=data.type)
            )
