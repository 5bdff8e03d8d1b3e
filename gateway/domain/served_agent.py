"""An agent as its configuration has it served."""

from dataclasses import dataclass

from gateway.domain.ports.agent import Agent
from gateway.domain.summary import Summarise
from gateway.domain.transfers import Transfers


@dataclass(frozen=True, slots=True)
class ServedAgent:
    """An agent, and what its configuration lets its replies do."""

    agent: Agent
    transfers: Transfers
    summarise: Summarise | None = None
    """How it sums up its conversations; None: they are quoted."""
