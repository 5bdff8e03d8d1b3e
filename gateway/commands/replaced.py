"""What a command replaced elsewhere, kept in a file so that it can be undone."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from channels.twilio.numbers import NumberSettings
from gateway.commands.terminal import Refusal


class Replaced:
    """Settings of numbers as they were before they were first connected, by the number's sid."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> dict[str, NumberSettings]:
        """All that is kept. Raises Refusal where the file cannot be read."""
        try:
            kept = json.loads(self._path.read_text("utf-8"))
            return {sid: NumberSettings(**values) for sid, values in kept.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, AttributeError) as error:
            raise Refusal(f"{self._path} cannot be read; move it away to go on without --undo") from error

    def keep(self, sid: str, settings: NumberSettings) -> None:
        """Keep what is set before it is changed; what was kept earlier stays."""
        kept = self.all()
        if sid not in kept:
            self._write(kept | {sid: settings})

    def forget(self, sid: str) -> None:
        """It is as it was before."""
        kept = self.all()
        kept.pop(sid, None)
        self._write(kept)

    def _write(self, kept: dict[str, NumberSettings]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({sid: asdict(settings) for sid, settings in kept.items()}, indent=2)
        new = self._path.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
