"""`python -m channels.voice.jambonz.fake`: a telephone in the terminal, whose calls jambonz seems to carry.

A line that you type is said to the gateway; one of keys (0-9, *, #) is pressed; an empty one hangs up.
"""

import asyncio
import re
import sys
import threading
from contextlib import suppress

import aiohttp
import click

from channels.voice.jambonz.fake.call import FakeJambonzCall
from channels.voice.jambonz.fake.server import FakeJambonz

_KEYS = re.compile(r"[0-9*#]+")
_LOOK_SECONDS = 0.05


async def _listen(call: FakeJambonzCall) -> None:
    heard = 0
    while not call.ended or heard < len(call.said):
        for text in call.said[heard:]:
            click.echo(f"  {text}")
        heard = len(call.said)
        await asyncio.sleep(_LOOK_SECONDS)


def _typed() -> "asyncio.Queue[str]":
    """Lines as they are typed, "" at their end, by a thread that ends with the process."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        with suppress(RuntimeError):  # the call is over, and with it the loop
            for line in sys.stdin:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    return lines


async def _talk(call: FakeJambonzCall) -> None:
    lines = _typed()
    while not call.ended:
        text = (await lines.get()).strip()
        if not text:
            await call.hang_up()
        elif _KEYS.fullmatch(text):
            await call.press(text)
            await call.wait()
        else:
            await call.say(text)


async def _call(fake: FakeJambonz, sender: str, recipient: str) -> None:
    try:
        call = await fake.call(sender, recipient)
    except (aiohttp.ClientError, OSError) as error:
        raise click.ClickException(f"the gateway does not take the call: {error}") from None
    listening = asyncio.create_task(_listen(call))
    talking = asyncio.create_task(_talk(call))
    await asyncio.wait({listening, talking}, return_when=asyncio.FIRST_COMPLETED)
    await fake.stop()
    await listening
    talking.cancel()
    declined = f", declined with {call.declined}" if call.declined else ""
    click.echo(f"The call has ended{declined}.")


@click.command()
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="The gateway.")
@click.option("--login", required=True, help="JAMBONZ_WEBHOOK_LOGIN: user:password.")
@click.option("--from", "sender", default="+15550123", show_default=True, help="Who calls.")
@click.option("--to", "recipient", required=True, help="A number of yours.")
@click.option("--streams/--sentences", default=True, show_default=True, help="What the voice can do.")
def main(url: str, login: str, sender: str, recipient: str, streams: bool) -> None:
    """Call the gateway: type what you say."""
    asyncio.run(_call(FakeJambonz(url.rstrip("/"), login, streams=streams), sender, recipient))


if __name__ == "__main__":
    main()
