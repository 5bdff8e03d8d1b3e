"""Fetches the files that providers keep of messages, some at once, whoever looks."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta

from gateway.domain.errors import GatewayError, Unavailable
from gateway.domain.message import Channel
from gateway.domain.ports.files import Fetched, FetchMedia, NotFetched
from gateway.domain.ports.store import Store
from gateway.service.attachments import Attachments
from gateway.service.media import AT_ONCE, PendingFile, claim_files, file_kept, file_not_fetched
from gateway.telemetry import MEDIA

LOOKS = 50
"""Rounds of one look: what is left is found the next time."""

Window = Callable[[Channel, str | None], timedelta]
"""How long a turn at one of our addresses waits for more input."""

_log = logging.getLogger(__name__)


class MediaFetcher:
    """Looks for files to fetch; a timer calls it."""

    def __init__(
        self,
        store: Store,
        attachments: Attachments,
        fetchers: Mapping[str, FetchMedia],
        window: Window,
        partitions: int,
    ) -> None:
        """`fetchers`: by provider."""
        self._store = store
        self._attachments = attachments
        self._fetchers = fetchers
        self._window = window
        self._partitions = partitions

    async def look(self) -> None:
        """Fetch what is due."""
        for _ in range(LOOKS):
            files = await self._store.write(claim_files)
            await asyncio.gather(*(self._fetch(file) for file in files))
            if len(files) < AT_ONCE:
                return

    async def _fetch(self, file: PendingFile) -> None:
        outcome = await self._outcome(file)
        window = int(self._window(file.channel, file.our_address) / timedelta(microseconds=1))
        if isinstance(outcome, NotFetched):
            MEDIA.labels(file.provider, "again" if outcome.again else "failed").inc()
            _log.warning(
                "a file was not fetched",
                extra={
                    "action": "media.not_fetched",
                    "attachment_id": file.id,
                    "provider": file.provider,
                    "attempt": file.attempt,
                    "reason": outcome.reason,
                },
            )
            await self._store.write(file_not_fetched, file, outcome, window, self._partitions)
            return
        try:
            kept = await self._attachments(outcome.content, media_type=outcome.media_type, name=outcome.name)
            await self._store.write(file_kept, file, kept, window, self._partitions)
        except Unavailable:  # the claim runs out, and it is fetched anew
            MEDIA.labels(file.provider, "again").inc()
            return
        MEDIA.labels(file.provider, "kept").inc()

    async def _outcome(self, file: PendingFile) -> Fetched | NotFetched:
        fetch = self._fetchers.get(file.provider)
        if fetch is None:
            return NotFetched("provider_not_configured", again=False)
        try:
            return await fetch(file.source, file.media_type, self._attachments.max_bytes)
        except GatewayError as error:
            return NotFetched(error.code.value, again=False)
