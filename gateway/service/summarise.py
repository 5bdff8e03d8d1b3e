"""A summary without a model: the first question, the last answer and the counts, as they stand."""

from gateway.domain.message import Author, Message, Role
from gateway.domain.summary import Counts, Summary, Transcript

QUESTION = 300
"""Characters of the first question that are kept."""
ANSWER = 500
"""Characters of the last answer that are kept."""


async def extractive_summary(transcript: Transcript) -> Summary | None:
    """Deterministic, and nothing that was not said; None where the end user said nothing."""
    asked = next((m for m in transcript.messages if m.role is Role.USER and m.content.strip()), None)
    if asked is None:
        return None
    answered = next((m for m in reversed(transcript.messages) if _answers(m)), None)
    said = [f"Asked: {_quoted(asked.content, QUESTION)}"]
    if answered is not None:
        who = "a person" if answered.author is Author.HUMAN_OPERATOR else "the agent"
        said.append(f"Last answer, by {who}: {_quoted(answered.content, ANSWER)}")
    said.append(_counted(transcript.counts))
    return Summary(text=" ".join(said))


def _answers(message: Message) -> bool:
    return message.role is Role.ASSISTANT and bool(message.content.strip())


def _quoted(text: str, limit: int) -> str:
    line = " ".join(text.split())
    return f"“{line if len(line) <= limit else line[: limit - 1].rstrip() + '…'}”"


def _counted(counts: Counts) -> str:
    people = f", {counts.operator_messages} by a person" if counts.operator_messages else ""
    return (
        f"{counts.messages} messages: {counts.user_messages} by the end user,"
        f" {counts.agent_messages} by the agent{people}."
    )
