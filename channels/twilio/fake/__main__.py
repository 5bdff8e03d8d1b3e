"""`python -m channels.twilio.fake`: the fake Twilio as a process of its own.

Prints `ready http://HOST:PORT` once it listens, and ends with 0 on SIGTERM or SIGINT.
"""

import asyncio
import signal
from pathlib import Path

import click

from channels.twilio.fake.faults import Faults
from channels.twilio.fake.ledger import Ledger
from channels.twilio.fake.server import FakeTwilio


class _FaultList(click.ParamType[Faults]):
    """`name=value,…` as Faults."""

    name = "faults"

    def convert(
        self, value: str | Faults, param: click.Parameter | None, ctx: click.Context | None
    ) -> Faults:
        if isinstance(value, Faults):
            return value
        try:
            return Faults.parse(dict(item.split("=", 1) for item in value.split(",") if item))
        except ValueError as error:
            self.fail(str(error), param, ctx)


async def _serve(fake: FakeTwilio, host: str, port: int) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    click.echo(f"ready {await fake.start(host, port)}")
    await stopping.wait()
    await fake.stop()


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=0, help="0 takes a free one.", show_default=True)
@click.option("--webhook-url", default="", help="The gateway's public base URL.")
@click.option("--account-sid", required=True)
@click.option("--auth-token", required=True)
@click.option("--callbacks/--no-callbacks", default=True, show_default=True)
@click.option("--faults", type=_FaultList(), default=Faults(), help="name=value,…", show_default=False)
@click.option("--ledger", type=click.Path(path_type=Path), help="Append accepted messages as JSON lines.")
def main(  # noqa: PLR0913 - one argument per option
    host: str,
    port: int,
    webhook_url: str,
    account_sid: str,
    auth_token: str,
    callbacks: bool,
    faults: Faults,
    ledger: Path | None,
) -> None:
    """Run a fake Twilio until SIGTERM."""
    fake = FakeTwilio(account_sid, auth_token, webhook_url=webhook_url, ledger=Ledger(path=ledger))
    fake.callbacks.enabled = callbacks
    fake.faults = faults
    asyncio.run(_serve(fake, host, port))


if __name__ == "__main__":
    main()
