"""Calls that we begin, in a process: who makes them, and the worker that has them made."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from gateway.app.core import Core
from gateway.channel_ports import twilio_credentials
from gateway.domain.ports.calls import Caller
from gateway.service.call_progress import bound_calls
from workers.calls import CallWorker
from workers.liveness import Liveness


def call_worker(core: Core, stack: AsyncExitStack, liveness: Liveness) -> CallWorker:
    """The worker; the stack closes its connections."""
    caller = _caller(core)
    if caller is not None:
        stack.push_async_callback(caller.close)
    return CallWorker(
        core.store, caller, core.call_reports(), liveness, core.configured.quiet, core.settings.partitions
    )


def _caller(core: Core) -> Caller | None:
    """Who makes calls; None without an account that can."""
    credentials = twilio_credentials(core.settings)
    if credentials is None or credentials.account_sid is None:
        return None
    from channels.twilio.calls import TwilioCalls
    from channels.voice.twilio_caller import TwilioCaller

    async def bound(ids: Sequence[str]) -> set[str]:
        return await core.store.read(bound_calls, ids)

    return TwilioCaller(
        TwilioCalls(credentials),
        public_url=core.settings.public_url,
        clock=core.clock,
        rules_of=core.configured.calls,
        bound=bound,
    )
