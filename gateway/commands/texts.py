"""`gateway sms` and `voice`: what the channels make of a text; no database, nothing is sent."""

from collections.abc import Iterable
from pathlib import Path

import click

from gateway.commands.terminal import Refusal

_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.group()
def sms() -> None:
    """What a text costs as SMS, and how it is cut. Texts are read from stdin."""


@sms.command(epilog="Example: echo 'Grüße aus Köln' | gateway sms segments")
@click.option("--smart", is_flag=True, help="Count it after Twilio's Smart Encoding.")
@click.option("--jsonl", is_flag=True, help='One {"text", "smart"} a line in, one result a line out.')
def segments(smart: bool, jsonl: bool) -> None:
    """Encoding, units and segments of a text: what a carrier bills."""
    from channels.sms.commands import InputError, segments_command

    with click.open_file("-", encoding="utf-8", errors="strict") as lines:
        try:
            _print(segments_command(lines, smart=smart, jsonl=jsonl))
        except (InputError, UnicodeDecodeError) as error:
            raise _unreadable(error) from None


@sms.command(epilog="Example: gateway sms chunk --max-segments 2 < reply.txt")
@click.option(
    "--max-segments",
    type=click.IntRange(1, 10),
    metavar="N",
    help="Segments a part may take, 1 to 10; carriers may refuse more.",
)
@click.option("--jsonl", is_flag=True, help='One {"text"} a line in, one result a line out.')
def chunk(max_segments: int | None, jsonl: bool) -> None:
    """The parts a long reply would be sent as."""
    from channels.sms.chunks import Limits
    from channels.sms.commands import InputError, chunk_command

    limits = Limits() if max_segments is None else Limits(max_segments=max_segments)
    with click.open_file("-", encoding="utf-8", errors="strict") as lines:
        try:
            _print(chunk_command(lines, limits=limits, jsonl=jsonl))
        except (InputError, UnicodeDecodeError) as error:
            raise _unreadable(error) from None


@click.group()
def voice() -> None:
    """What a voice host is sent for an intent."""


@voice.command(epilog="Example: gateway voice render --host twilio transfer.json")
@click.option("--host", type=click.Choice(["twilio", "jambonz", "relay"]), required=True, help="Whose words.")
@click.argument("file", type=_FILE)
def render(host: str, file: Path) -> None:
    """What a host would be sent for an intent.

    FILE holds {"kind", "payload"} as on the queue: say, collect_dtmf, transfer, cancel or hang_up.
    """
    from channels.voice.render import MAX_FILE, CannotRender, render_file

    with file.open("rb") as opened:
        raw = opened.read(MAX_FILE + 1)
    try:
        click.echo(render_file(host, raw))
    except CannotRender as error:
        raise Refusal(f"{file}: {error}") from None


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def _unreadable(error: Exception) -> click.ClickException:
    """Input that cannot be read counts as bad usage."""
    told = click.UsageError("stdin is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error))
    told.ctx = click.get_current_context()
    return told
