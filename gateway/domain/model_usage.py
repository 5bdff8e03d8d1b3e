"""What models have used for one reply: counted while it is streamed, within bounds."""

from gateway.domain.agent import AgentFailed, Usage

MAX_TOKENS = 1_000_000_000


class ModelUsage:
    """The tokens of one reply; None where the agent has told nothing of them."""

    def __init__(self) -> None:
        self.model: str | None = None
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.embedded_tokens = 0

    def add(self, event: Usage) -> None:
        """Count what the agent tells. Raises AgentFailed."""
        read = (self.input_tokens or 0) + event.input_tokens
        written = (self.output_tokens or 0) + event.output_tokens
        if min(event.input_tokens, event.output_tokens) < 0 or max(read, written) > MAX_TOKENS:
            raise AgentFailed("usage with an impossible number of tokens")
        self.model = event.model or self.model
        self.input_tokens, self.output_tokens = read, written

    def embed(self, tokens: int) -> None:
        """Count what it took to find passages."""
        self.embedded_tokens = min(self.embedded_tokens + tokens, MAX_TOKENS)
