"""Callers at voice hosts who say nothing are reminded, and let go after a while; on hold they are reassured.

Since when nobody has said anything is kept in the call's row: from what the caller says or presses, and from
the end of what is said to them, as their host reports it; until it does, by how long it takes to say. A timer
looks into the row, and says a line.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.domain.call_rules import CallRules
from gateway.domain.clock import SECOND
from gateway.domain.conversation import Status
from gateway.domain.ids import named_id
from gateway.domain.ports.store import Row, Tx
from gateway.domain.spoken import speaking_time
from gateway.domain.voice import letting_go, saying
from gateway.service.batch import BATCH, Batch
from gateway.service.call_intents import issue
from gateway.service.call_keys import is_pressing


async def hear(tx: Tx, place: tuple[str, str]) -> None:
    """The caller is heard: silence is counted from now."""
    await tx.run("call_heard", host_id=place[0], call_id=place[1])


async def break_silences(tx: Tx, rules_of: Callable[[str], CallRules], batch: Batch = BATCH) -> int:
    """Say what is due to callers who say nothing; how many calls were looked at."""
    calls = await tx.all("calls_quiet", limit=batch.limit, past=batch.past)
    for call in calls:
        await _look(tx, call, rules_of)
    return len(calls)


@dataclass(frozen=True, slots=True)
class _Silence:
    """One that is looked at: its call, on hold or not, and how many lines were said into it."""

    call: Row
    rules: CallRules
    held: bool
    lines: int

    @property
    def patience(self) -> int:
        """How long nothing is said, µs."""
        pace = self.rules.pace
        return int((pace.reassure_every if self.held else pace.reminder_after) * SECOND)

    @property
    def hopeless(self) -> bool:
        """Whether enough has been said."""
        pace = self.rules.pace
        if self.held:
            return self.lines * pace.reassure_every >= pace.hold_at_most
        return self.lines >= pace.max_reminders


async def _look(tx: Tx, call: Row, rules_of: Callable[[str], CallRules]) -> None:
    stands = await tx.one("call_stands", conversation_id=call["conversation_id"], call_id=call["call_id"])
    status = Status.CLOSED if stands is None else Status(stands["status"])
    if stands is None or status.terminal or status is Status.TRANSFERRED:
        await _next(tx, call, None)
        return
    held = status is not Status.ACTIVE or bool(stands["waits"] and stands["braked"])
    lines = call["quiet_lines"] if call["quiet_held"] == held else 0
    silence = _Silence(call, rules_of(stands["our_address"] or ""), held, lines)
    due = call["quiet_since"] + silence.patience
    if stands["transferring"] or is_pressing(call["keys"]) or (stands["waits"] and not held):
        await _next(tx, call, call["at"] + silence.patience, lines=lines, held=held)  # somebody is at it
    elif due > call["at"]:
        await _next(tx, call, due, lines=lines, held=held)
    else:
        await _speak_up(tx, silence)


async def _speak_up(tx: Tx, silence: _Silence) -> None:
    call, texts, over = silence.call, silence.rules.texts, silence.hopeless
    text = texts.goodbye if over else texts.reassurance if silence.held else texts.reminder
    line_id = named_id(call["conversation_id"], call["call_id"], "quiet", str(call["quiet_due"]))
    place, now = (line_id, call["conversation_id"]), call["at"]
    said = saying(call["call_id"], place, text, now)
    told = {"at": now, "organization_id": call["organization_id"]}
    await issue(tx, call["host_id"], said, **told)
    if over:
        reason = "hold_timeout" if silence.held else "silence"
        await issue(tx, call["host_id"], letting_go(said, reason, now), **told)
    due = None if over else now + speaking_time(text) + silence.patience
    await _next(tx, call, due, lines=silence.lines + 1, held=silence.held, said=True)


async def _next(
    tx: Tx, call: Row, due: int | None, *, lines: int = 0, held: bool = False, said: bool = False
) -> None:
    await tx.run(
        "call_look_again",
        host_id=call["provider"],
        call_id=call["call_id"],
        due=due,
        lines=lines,
        held=held,
        said=said,
    )
