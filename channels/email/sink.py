"""`python -m channels.email.sink`: a mail server on loopback that takes any mail and keeps none.

Prints `ready smtp://HOST:PORT` once it listens, and ends with 0 on SIGTERM or SIGINT.
"""

import asyncio
import signal

import click

from channels.email.fake import SmtpSink


async def _serve(host: str, port: int) -> None:
    sink = SmtpSink(keeps=False)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    click.echo(f"ready {await sink.start(host, port)}")
    await stopping.wait()
    await sink.stop()


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="0 takes a free one.")
def main(host: str, port: int) -> None:
    """Take any mail, and keep none."""
    asyncio.run(_serve(host, port))


if __name__ == "__main__":
    main()
