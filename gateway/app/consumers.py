"""Who works off the queues in a process, and in which shares."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

from gateway.app.calls import call_worker
from gateway.app.core import Core
from gateway.app.plan import Role
from gateway.bus.topology import WEBHOOKS
from gateway.channel_ports.senders import OutgoingMail, senders
from gateway.domain.ports.bus import Consume, Consumer
from gateway.settings import LlmAgent
from workers.agents.llm.agent import preload
from workers.audience import Audience
from workers.brakes import Brakes
from workers.deliveries import DeliveryWorker
from workers.leases import LOOK_SECONDS
from workers.liveness import Liveness
from workers.timers import Timer, Timers
from workers.turns import TurnLimits, TurnWorker
from workers.voice import VoiceWorker
from workers.webhook_post import WebhookPoster
from workers.webhooks import WebhookWorker

_DELIVERY_CHANNELS = ("sms", "email")
_FAN_OUTS = 16
"""Facts fanned out at once."""


async def start_consumers(core: Core, stack: AsyncExitStack) -> list[Consumer]:
    """Start the workers whose work comes by queue; the stack stops them."""
    return [*await _start_leased(core, stack), *await _start_webhooks(core, stack)]


async def _start_leased(core: Core, stack: AsyncExitStack) -> list[Consumer]:
    """Those whose work is held by leases; their liveness row comes first and goes last."""
    roles, store = core.plan.roles, core.store
    if not roles & {Role.TURNS, Role.DELIVERIES, Role.VOICE}:
        return []
    liveness = Liveness(store, core.clock, roles=" ".join(sorted(roles)))
    await liveness.start()
    stack.push_async_callback(liveness.stop)
    wanted: list[tuple[str, Consume]] = []
    looks: list[Timer] = []
    if Role.TURNS in roles:
        turns = await _start_turns(core, stack, liveness)
        wanted += [(f"turns.{n}", turns.consume) for n in range(core.settings.partitions)]
        looks.append(Timer("leases of conversations", LOOK_SECONDS, turns.leases.look))
    if Role.DELIVERIES in roles:
        mail = OutgoingMail(core.marks, core.attachments().read)
        outgoing = senders(core.settings, core.configured.current, store, core.clock, mail)
        stack.push_async_callback(outgoing.close)
        deliveries = DeliveryWorker(store, outgoing.of, liveness, core.configured.send_rules)
        wanted += [(f"deliveries.{channel}", deliveries.consume) for channel in _DELIVERY_CHANNELS]
        looks.append(Timer("leases of lanes", LOOK_SECONDS, deliveries.leases.look))
        wanted.append(("deliveries.voice", call_worker(core, stack, liveness).consume))
    if Role.VOICE in roles:
        wanted.append(("voice.events", _voice_worker(core).consume))
    looking = Timers(looks)
    await looking.start()
    stack.push_async_callback(looking.stop)
    return _shared_out(wanted, core.plan.concurrency)


async def _start_turns(core: Core, stack: AsyncExitStack, liveness: Liveness) -> TurnWorker:
    settings, configured = core.settings, core.configured
    limits = TurnLimits(
        settings.turn_timeout_seconds,
        settings.partitions,
        core.reply_files(),
        configured.turn_rules,
    )
    brakes = Brakes(core.store)
    await brakes.start()
    stack.push_async_callback(brakes.stop)
    if any(isinstance(agent.definition, LlmAgent) for agent in configured.config.agents.values()):
        loading = asyncio.create_task(preload())  # beside the start, so that no first turn waits for it
        stack.callback(loading.cancel)
    audience = Audience(core.store, (core.bus.replies, core.bus.hosts), core.clock, configured.calls)
    return TurnWorker(core.store, audience, configured.agent, liveness, brakes, limits)


def _voice_worker(core: Core) -> VoiceWorker:
    ingress = core.ingress()
    return VoiceWorker(
        core.store,
        (ingress.accept, ingress.dialogue),
        core.clock,
        core.configured.config.organization_id,
        lambda number: core.configured.calls(number).texts,
    )


async def _start_webhooks(core: Core, stack: AsyncExitStack) -> list[Consumer]:
    if Role.WEBHOOKS not in core.plan.roles:
        return []
    settings = core.settings
    poster = WebhookPoster(core.clock, allow_private=settings.webhook_allow_private)
    await stack.enter_async_context(poster)
    webhooks = WebhookWorker(core.store, poster, core.clock)
    await webhooks.start()
    stack.push_async_callback(webhooks.stop, settings.drain_seconds)
    # beside the concurrency: to fan out is one short statement, and it calls nobody
    return [Consumer(WEBHOOKS, webhooks.consume, _FAN_OUTS)]


def _shared_out(wanted: list[tuple[str, Consume]], concurrency: int) -> list[Consumer]:
    """Prefetch over all queues sums to the concurrency, but for at least one each.

    Each kind of work has an equal part of it: shared by queue, the sixteen of the turns would leave the one
    queue of all text messages with next to nothing.
    """
    queues = Counter(_kind(queue) for queue, _ in wanted)
    return [
        Consumer(queue, consume, max(1, concurrency // len(queues) // queues[_kind(queue)]))
        for queue, consume in wanted
    ]


def _kind(queue: str) -> str:
    return queue.partition(".")[0]
