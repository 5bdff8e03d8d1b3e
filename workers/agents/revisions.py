"""Agents as they were: built again from the revision that a conversation is pinned to."""

from collections import OrderedDict
from collections.abc import Callable

from gateway.domain.agent import AgentFailed
from gateway.domain.ports.store import Store
from gateway.domain.served_agent import ServedAgent
from gateway.service.revisions import revision
from gateway.settings import AgentConfig, SettingsError
from gateway.settings.agents import restore_agent

KEPT = 128
"""Revisions that are kept ready; the one that was not asked for the longest goes first."""


class StoredRevisions:
    """Reads revisions from the database, where every process finds those of all others."""

    def __init__(self, store: Store, build: Callable[[AgentConfig], ServedAgent]) -> None:
        self._store = store
        self._build = build
        self._ready: OrderedDict[tuple[str, str], ServedAgent] = OrderedDict()

    async def agent(self, organization_id: str, agent_id: str, revision_id: str) -> ServedAgent | None:
        """An agent at a revision; None where nobody stored it.

        Raises AgentFailed where it cannot be built here, such as one whose Python module has gone.
        """
        key = (agent_id, revision_id)
        ready = self._ready.get(key)
        if ready is None:
            found = await self._store.read(revision, organization_id, agent_id, revision_id)
            if found is None:
                return None
            try:
                ready = self._build(restore_agent(found.settings, organization_id, revision_id))
            except SettingsError as error:
                reason = "the revision that the conversation began with cannot be used any more"
                raise AgentFailed(f"{reason}: {error.problems[0]}") from error
            self._ready[key] = ready
        self._ready.move_to_end(key)
        if len(self._ready) > KEPT:
            self._ready.popitem(last=False)
        return ready
