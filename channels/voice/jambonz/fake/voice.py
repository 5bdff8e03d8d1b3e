"""What the fake jambonz says in words that are streamed: kept until they are complete, and bounded."""

from typing import Any

HIGH_WATER = 1_000
"""Characters that are kept unspoken (tts-streaming-buffer.js)."""


class Voice:
    """A connection to a voice. Speech takes no time, unless it is held back."""

    def __init__(self) -> None:
        self.open = False
        self.held = False
        """Nothing is spoken for now, so that what comes is kept."""
        self.partial = ""
        """What has come of a text that is not complete."""
        self.kept = ""
        self.refused = 0
        self._paused = False

    def take(self, data: dict[str, Any]) -> dict[str, Any]:
        """The answer to `tts:tokens`."""
        number, tokens = data["id"], str(data["tokens"])
        if not self.open:
            return {"id": number, "status": "failed", "reason": "the connection failed"}
        if self.held and len(self.kept) + len(tokens) > HIGH_WATER:
            self.refused += 1
            self._paused = True
            return {"id": number, "status": "failed", "reason": "full"}
        self.partial += tokens
        if self.held:
            self.kept += tokens
        return {"id": number, "status": "ok"}

    def flush(self) -> str:
        """The text is complete."""
        text, self.partial = self.partial, ""
        return text

    def clear(self) -> None:
        """What was not spoken is dropped."""
        self.partial, self.kept, self._paused = "", "", False

    def release(self) -> bool:
        """What was kept is spoken; whether more may come now that could not before."""
        self.kept, paused, self._paused = "", self._paused, False
        return paused

    def obey(self, command: object, data: object) -> tuple[list[tuple[str, dict[str, Any]]], str]:
        """A command about what is to be spoken: what is reported of it, and the text that is whole now."""
        if command == "tts:tokens" and isinstance(data, dict):
            answer = self.take(data)
            full = answer.get("reason") == "full"
            paused = [("tts:streaming-event", {"event_type": "stream_paused"})] if full else []
            return [("tts:tokens-result", answer), *paused], ""
        if command == "tts:flush":
            return [], self.flush()
        if command == "tts:clear":
            self.clear()
        return [], ""
