"""`python -m channels.voice.host`: the reference voice host as a process of its own.

Prints `ready sip:HOST:PORT` once it takes calls, and ends with 0 on SIGTERM or SIGINT.
"""

import asyncio
import signal
from pathlib import Path

import click

from channels.voice.host.host import VoiceHost, open_layer
from channels.voice.host.ledger import Ledger
from channels.voice.host.queues import GatewayQueues
from channels.voice.host.sip.transactions import Address
from channels.voice.host.site import Site
from gateway.domain.clock import Clock


class _HostPort(click.ParamType[Address]):
    """`HOST:PORT`, the host a number."""

    name = "host:port"

    def convert(
        self, value: str | Address, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        if isinstance(value, tuple):
            return value
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65_535:
            self.fail("it is written as HOST:PORT", param, ctx)
        return (host, int(port))


async def _serve(host_id: str, amqp: tuple[str, str], sip: Address, trunk: Address, state: Path) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    clock = Clock()
    ledger = Ledger(state / f"{host_id}.jsonl")
    queues = GatewayQueues(*amqp, host_id, ledger, clock)
    host = VoiceHost()
    layer = await open_layer(host, *sip)
    host.start(Site(host_id, layer, ledger, queues, clock, trunk, host.add_leg))
    await queues.start(host.told)
    click.echo(f"ready sip:{layer.local[0]}:{layer.local[1]}")
    await stopping.wait()
    host.close()
    await queues.stop()
    ledger.close()


@click.command()
@click.option("--host-id", required=True, help="The name it registers under.")
@click.option("--amqp-url", envvar="GATEWAY_AMQP_URL", required=True, help="The gateway's RabbitMQ.")
@click.option("--amqp-prefix", envvar="GATEWAY_AMQP_PREFIX", default="gateway.", show_default=True)
@click.option(
    "--sip", type=_HostPort(), default="127.0.0.1:5060", show_default=True, help="Where calls come in."
)
@click.option("--trunk", type=_HostPort(), required=True, help="Where calls to numbers are sent.")
@click.option("--state", type=click.Path(path_type=Path), required=True, help="A folder that outlives it.")
def main(host_id: str, amqp_url: str, amqp_prefix: str, sip: Address, trunk: Address, state: Path) -> None:
    """Hold SIP calls (UDP) for the gateway, over its queues. Signalling only: no speech, no media."""
    asyncio.run(_serve(host_id, (amqp_url, amqp_prefix), sip, trunk, state))


if __name__ == "__main__":
    main()
