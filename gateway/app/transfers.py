"""Who drives the warm transfers of held calls in a process, where somebody can be called."""

from contextlib import AsyncExitStack
from dataclasses import replace

from channels.voice.steps import Links
from gateway.app.core import Core
from gateway.app.plan import Role
from gateway.channel_ports.accounts import twilio_credentials
from workers.warm import WarmDriver

_USERS = frozenset({Role.SERVE, Role.TIMERS})
"""Who hears of events, and who looks for what is left undone."""


def open_transfers(core: Core, stack: AsyncExitStack) -> Core:
    """The core with its driver; without one, persons are briefed by a whisper."""
    if not core.plan.roles & _USERS:
        return core
    credentials = twilio_credentials(core.settings)
    if credentials is None or credentials.account_sid is None:
        return core
    from channels.twilio.calls import TwilioCalls
    from channels.voice.warm.legs import TwilioLegs

    calls = TwilioCalls(credentials)
    stack.push_async_callback(calls.close)
    driver = WarmDriver(
        core.store,
        core.acceptance(),
        TwilioLegs(calls, Links(core.settings.public_url), core.configured.calls),
        core.clock,
        core.configured.config.organization_id,
    )
    stack.push_async_callback(driver.close)
    return replace(core, warm=driver)
