"""What the host must still know after it was killed: open calls, intents and their ends, unsent reports.

A file of JSON lines; `durable` waits until they are on the disk, for all who wait at once. So an intent that
comes again, to this process or to its successor, is answered with its outcome and never acted on twice;
reports are numbered without gaps, and one that was not confirmed is published again under the same id.
"""

import asyncio
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

KEPT_INTENTS = 10_000
"""Intents remembered over a restart, the newest."""

Json = dict[str, Any]


@dataclass(slots=True)
class Intent:
    """What became of an intent: None while it goes on."""

    call_id: str
    outcome: Json | None = None


@dataclass(slots=True)
class _Memory:
    open: set[str] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)
    """Of each call's next report."""
    intents: dict[str, Intent] = field(default_factory=dict)
    canceled: set[str] = field(default_factory=set)
    unsent: dict[str, Json] = field(default_factory=dict)

    def note(self, line: Json) -> None:
        """Take in one line; one of a newer version's means nothing here."""
        match line:
            case {"call": str(call_id), "next": int(number)}:
                self.open.add(call_id)
                self.numbers[call_id] = number
            case {"over": str(call_id)}:
                self.open.discard(call_id)
            case {"intent": str(intent_id), "of": str(call_id)}:
                self.intents[intent_id] = Intent(call_id)
            case {"cancel": str(intent_id)}:
                self.canceled.add(intent_id)
            case {"report": str(report_id), "data": dict(event)}:
                self.unsent[report_id] = event
                self._count(event)
            case {"sent": str(report_id)}:
                self.unsent.pop(report_id, None)

    def _count(self, event: Json) -> None:
        """A report about an intent moves the number of its call on, and may be the end of the intent."""
        if "seq" not in event:
            return
        call_id = event["call_id"]
        self.numbers[call_id] = max(self.numbers.get(call_id, 0), event["seq"] + 1)
        if event["kind"] == "intent.outcome":
            self.intents.setdefault(event["intent_id"], Intent(call_id)).outcome = event

    def lines(self) -> list[Json]:
        """What a successor must know: the newest intents and their calls, and what is unsent."""
        kept = dict(list(self.intents.items())[-KEPT_INTENTS:])
        calls = self.open | {intent.call_id for intent in kept.values()}
        lines: list[Json] = [{"call": c, "next": self.numbers.get(c, 0)} for c in calls]
        lines += [{"over": call_id} for call_id in calls - self.open]
        for intent_id, intent in kept.items():
            lines.append({"intent": intent_id, "of": intent.call_id})
            if intent.outcome is not None:
                lines += [{"report": intent_id, "data": intent.outcome}, {"sent": intent_id}]
        lines += [{"cancel": intent_id} for intent_id in self.canceled & kept.keys()]
        lines += [{"report": report_id, "data": event} for report_id, event in self.unsent.items()]
        return lines


class Ledger:
    """The file, and what it says."""

    def __init__(self, path: Path) -> None:
        """Read what a predecessor left; a last line that was cut off by its end is left out."""
        self._memory = _Memory()
        self._dirty = False
        self._flushing = asyncio.Lock()
        if path.exists():
            for line in path.read_text("utf-8").splitlines():
                try:
                    self._memory.note(json.loads(line))
                except ValueError:
                    break
        self._file = self._compacted(path)

    @property
    def unsent(self) -> dict[str, Json]:
        """Reports that were not confirmed, oldest first, by envelope id."""
        return dict(self._memory.unsent)

    @property
    def open_calls(self) -> list[str]:
        """Calls that have not ended."""
        return sorted(self._memory.open)

    def intent(self, intent_id: str) -> Intent | None:
        """What is known of an intent."""
        return self._memory.intents.get(intent_id)

    def running(self, call_id: str) -> list[str]:
        """The intents of a call that have not ended."""
        intents = self._memory.intents.items()
        return [name for name, known in intents if known.call_id == call_id and known.outcome is None]

    def call_begins(self, call_id: str) -> None:
        """A call is announced."""
        self._write({"call": call_id, "next": 0})

    def call_ends(self, call_id: str) -> None:
        """A call is over."""
        self._write({"over": call_id})

    def intent_begins(self, intent_id: str, call_id: str) -> None:
        """An intent is about to be acted on."""
        self._write({"intent": intent_id, "of": call_id})

    def cancel(self, intent_id: str) -> None:
        """An intent is not wanted any more; it may not have come yet."""
        self._write({"cancel": intent_id})

    def canceled(self, intent_id: str) -> bool:
        """Whether its cancellation has overtaken it."""
        return intent_id in self._memory.canceled

    def next_number(self, call_id: str) -> int:
        """The `seq` of a call's next report about an intent."""
        return self._memory.numbers.get(call_id, 0)

    def report(self, report_id: str, event: Json) -> None:
        """An event is about to be published."""
        self._write({"report": report_id, "data": event})

    def sent(self, report_id: str) -> None:
        """The broker has it."""
        self._write({"sent": report_id})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    async def durable(self) -> None:
        """Return when all that was written is on the disk. One flush serves all that wait for the next."""
        async with self._flushing:
            if self._dirty:
                self._dirty = False
                await asyncio.to_thread(os.fsync, self._file.fileno())

    def _write(self, line: Json) -> None:
        self._memory.note(line)
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        self._dirty = True

    def _compacted(self, path: Path) -> TextIO:
        """The file anew, with what still matters."""
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in self._memory.lines())
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        return path.open("a", encoding="utf-8")
