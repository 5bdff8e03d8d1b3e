"""Calls that we begin, in a process: who makes them, and the worker that has them made."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from gateway.app.core import Core
from gateway.channel_ports.accounts import jambonz_account, twilio_credentials
from gateway.domain.message import Channel
from gateway.domain.outgoing_call import OutgoingCall
from gateway.domain.ports.calls import Caller
from gateway.service.call_progress import bound_calls
from gateway.settings import VoiceMode
from workers.calls import CallWorker
from workers.liveness import Liveness


def call_worker(core: Core, stack: AsyncExitStack, liveness: Liveness) -> CallWorker:
    """The worker; the stack closes its connections."""
    twilio, jambonz = _twilio(core), _jambonz(core)
    made = {caller.provider: caller for caller in (twilio, jambonz) if caller is not None}
    for caller in made.values():
        stack.push_async_callback(caller.close)

    def caller_of(call: OutgoingCall) -> Caller | None:
        """Whoever has it; before that, whoever carries the calls of our number."""
        if call.provider is not None:
            return made.get(call.provider)
        entry = core.configured.current().address(Channel.VOICE, call.ours)
        return jambonz if entry is not None and entry.voice_mode is VoiceMode.JAMBONZ else twilio

    return CallWorker(
        core.store, caller_of, core.call_reports(), liveness, core.configured.quiet, core.settings.partitions
    )


def _twilio(core: Core) -> Caller | None:
    """None without an account that can."""
    credentials = twilio_credentials(core.settings)
    if credentials is None or credentials.account_sid is None:
        return None
    from channels.twilio.calls import TwilioCalls
    from channels.voice.twilio_caller import TwilioCaller

    async def bound(ids: Sequence[str]) -> set[str]:
        return await core.store.read(bound_calls, core.configured.config.organization_id, ids)

    return TwilioCaller(
        TwilioCalls(credentials),
        public_url=core.settings.public_url,
        clock=core.clock,
        rules_of=core.configured.calls,
        bound=bound,
    )


def _jambonz(core: Core) -> Caller | None:
    """None without an account."""
    account = jambonz_account(core.settings)
    if account is None:
        return None
    from channels.voice.jambonz.caller import JambonzCaller

    async def bound(ids: Sequence[str]) -> set[str]:
        return await core.store.read(bound_calls, core.configured.config.organization_id, ids)

    return JambonzCaller(account, rules_of=core.configured.calls, bound=bound)
