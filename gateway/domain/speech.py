"""What an agent says, calls and attaches in one reply: its messages, cut where the agent cuts them."""

from dataclasses import dataclass, field, replace

from gateway.domain.agent import MAX_FILE_BYTES, MAX_FILES, MAX_TEXT, AgentFailed
from gateway.domain.message import JsonObject, ToolCall
from gateway.domain.turn import ReplyFile, ReplyMessage

MAX_TOOL_CALLS = 50

BETWEEN_MESSAGES = "\n\n"
"""What joins the messages of a reply into one text (as `Reply.text` does)."""


@dataclass(slots=True)
class _Beside:
    """What stands beside a message's text."""

    calls: list[str] = field(default_factory=list)
    files: list[ReplyFile] = field(default_factory=list)


class Speech:
    """The messages of a reply while it is streamed. Every method raises AgentFailed out of bounds."""

    def __init__(self) -> None:
        self._length = 0
        self._pieces: list[str] = []
        self._withheld: list[str] = []
        self._messages: list[tuple[str, _Beside]] = []
        self._owed = _Beside()
        self._file_sizes: list[int] = []
        self._calls: dict[str, ToolCall] = {}
        self._answered: set[str] = set()

    @property
    def silent(self) -> bool:
        """Whether nothing has been said in a finished message."""
        return not self._messages

    def say(self, text: str) -> str:
        """Go on with the message; what may be shown of the reply now.

        The gap between messages is shown with the later one's first text, and white space at a
        message's start with the first text that is not: so nothing is shown that is not in the reply.
        """
        self._length += len(text)
        if self._length > MAX_TEXT:
            raise AgentFailed(f"a reply of more than {MAX_TEXT} characters")
        if "\x00" in text:  # PostgreSQL keeps no such text
            raise AgentFailed("a text holds a NUL character")
        if not self._pieces and not text.strip():
            self._withheld.append(text)
            return ""
        text = "".join([*self._withheld, text])
        self._withheld = []
        gap = BETWEEN_MESSAGES if self._messages and not self._pieces else ""
        self._pieces.append(text)
        return gap + text

    def end_message(self) -> None:
        """Close the message. One of white space only is dropped; its calls and files are the next one's."""
        self._withheld = []
        if self._pieces:
            self._messages.append(("".join(self._pieces), self._owed))
            self._pieces, self._owed = [], _Beside()

    def call(self, call_id: str, name: str, arguments: JsonObject) -> None:
        """A tool is called; its result may come later, or not at all."""
        if call_id in self._calls:
            raise AgentFailed("two tool calls with the same id")
        if len(self._calls) == MAX_TOOL_CALLS:
            raise AgentFailed(f"more than {MAX_TOOL_CALLS} tool calls")
        self._calls[call_id] = ToolCall(id=call_id, name=name, arguments=arguments)
        self._owed.calls.append(call_id)

    def answer(self, call_id: str, output: object, error: str | None) -> None:
        """A tool's result."""
        call = self._calls.get(call_id)
        if call is None or call_id in self._answered:
            raise AgentFailed("a tool_result that answers no open tool_call")
        self._answered.add(call_id)
        self._calls[call_id] = replace(call, output=output, error=error)

    def attach(self, file: ReplyFile) -> None:
        """A file goes with the message."""
        self._file_sizes.append(len(file.content))
        if len(self._file_sizes) > MAX_FILES:
            raise AgentFailed(f"more than {MAX_FILES} attachments")
        if sum(self._file_sizes) > MAX_FILE_BYTES:
            raise AgentFailed(f"attachments of more than {MAX_FILE_BYTES} bytes together")
        self._owed.files.append(file)

    def answered(self, call_id: str) -> bool:
        """Whether a tool call has its result."""
        return call_id in self._answered

    def messages(self) -> tuple[ReplyMessage, ...]:
        """All finished messages. Calls and files after the last text are the last message's.

        Without any text, calls are on a message of their own, to be stored; it has nothing to deliver, and so
        may have no files.
        """
        spoken = [(text, _Beside([*beside.calls], [*beside.files])) for text, beside in self._messages]
        if self._owed.files and not spoken:
            raise AgentFailed("an attachment in a reply without a text")
        if self._owed.calls or self._owed.files:
            spoken = spoken or [("", _Beside())]
            spoken[-1][1].calls.extend(self._owed.calls)
            spoken[-1][1].files.extend(self._owed.files)
        return tuple(
            ReplyMessage(
                text=text,
                tool_calls=tuple(self._calls[call_id] for call_id in beside.calls),
                files=tuple(beside.files),
            )
            for text, beside in spoken
        )
