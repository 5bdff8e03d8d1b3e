"""`gateway dead`: dead letters, looked at and settled by a person."""

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import click

from gateway.commands.options import config_option, data_dir_option, opened, read_settings
from gateway.commands.terminal import Refusal, columns
from gateway.domain.clock import rfc3339
from gateway.domain.ports.store import Store
from gateway.service.dead import DeadLetter, letter, letters_like, open_letters, settle
from gateway.service.ingress import Acceptance
from gateway.service.requeue import CannotRequeue, requeue
from gateway.settings import Settings

PAGE = 50

queue_option = click.option(
    "--queue",
    metavar="NAME",
    help="Only those of a queue, or of queues whose names begin so: turns, webhooks.",
)
all_option = click.option("--all", "everything", is_flag=True, help="All open ones, instead of some by id.")
ids_argument = click.argument("ids", nargs=-1, metavar="[ID]...")


@click.group()
def dead() -> None:
    """List, show, requeue and discard dead letters.

    What failed for good is kept here with its reason: a turn whose agent failed five times, a reply that the
    provider refused, a queue message that could not be read.
    """


@dead.command(name="list")
@queue_option
@config_option
@data_dir_option
def list_(queue: str | None, config: Path | None, data_dir: Path) -> None:
    """List the open ones, oldest first."""
    asyncio.run(_list(read_settings(config, data_dir), queue or ""))


@dead.command()
@click.argument("letter_id", metavar="ID")
@config_option
@data_dir_option
def show(letter_id: str, config: Path | None, data_dir: Path) -> None:
    """Show one, whole: reason, headers and body. ID may be the beginning of one.

    The body may hold what a person wrote.
    """
    found = asyncio.run(_show(read_settings(config, data_dir), letter_id))
    rows = [
        ("id", found.id),
        ("queue", found.queue),
        ("kept", rfc3339(found.created_at)),
        ("reason", found.reason),
        ("conversation", found.conversation_id or "-"),
        ("state", found.settled_how or "open"),
        *((f"header {name}", str(value)) for name, value in found.headers.items()),
    ]
    for line in columns(rows):
        click.echo(_printable(line))
    click.echo(_pretty(found.body))


@dead.command(name="requeue", epilog="Examples: gateway dead requeue 0193a5, gateway dead requeue --all")
@ids_argument
@all_option
@queue_option
@config_option
@data_dir_option
def requeue_(
    ids: tuple[str, ...], everything: bool, queue: str | None, config: Path | None, data_dir: Path
) -> None:
    """Have it done again, and settle the letter. IDs may be beginnings.

    A turn's messages are asked again, a reply's unsent parts are sent again, any other message goes to its
    queue as it was. Exit code 1 when one could not be requeued; it stays, and the rest goes on.
    """
    settings = read_settings(config, data_dir)

    async def again(store: Store, letter_id: str) -> None:
        api_url = settings.api_url or settings.public_url
        acceptance = Acceptance(store, lambda: settings.config, settings.partitions, api_url)
        await store.write(requeue, letter_id, settings.partitions, acceptance.route)

    asyncio.run(_settle(settings, _Choice(ids, everything, queue), _Deed("requeued", again)))


@dead.command(epilog="Example: gateway dead discard --all --queue webhooks --yes")
@ids_argument
@all_option
@queue_option
@click.option("--yes", is_flag=True, help="Do not ask before discarding all.")
@config_option
@data_dir_option
def discard(
    ids: tuple[str, ...], everything: bool, queue: str | None, yes: bool, config: Path | None, data_dir: Path
) -> None:
    """Settle it without doing it again. IDs may be beginnings. The letter can still be shown."""
    settings = read_settings(config, data_dir)
    if everything and not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("--all discards without asking only with --yes")
        click.confirm(f"Discard all dead letters{f' of {queue}' if queue else ''}?", abort=True)

    async def drop(store: Store, letter_id: str) -> None:
        if not await store.write(settle, letter_id, "discarded"):
            raise CannotRequeue("it is settled already")

    asyncio.run(_settle(settings, _Choice(ids, everything, queue), _Deed("discarded", drop)))


@dataclass(frozen=True, slots=True)
class _Choice:
    """Which letters are meant: some by their ids, or all open ones of the queues that begin so."""

    ids: tuple[str, ...]
    everything: bool
    queue: str | None


@dataclass(frozen=True, slots=True)
class _Deed:
    """What is done to each, and how that is told; raises CannotRequeue where it was not done."""

    done: str
    do: Callable[[Store, str], Awaitable[None]]


async def _list(settings: Settings, queue: str) -> None:
    shown = 0
    async with opened(settings) as store:
        async for page in _pages(store, queue):
            rows = [
                (found.id, rfc3339(found.created_at)[:19] + "Z", found.queue, found.reason) for found in page
            ]
            lines = columns(rows, ("ID", "KEPT", "QUEUE", "REASON"))
            for line in lines if shown == 0 else lines[1:]:
                click.echo(_cut(_printable(line)))
            shown += len(page)
    if not shown:
        click.echo("there are no open dead letters", err=True)


async def _show(settings: Settings, prefix: str) -> DeadLetter:
    async with opened(settings) as store:
        found = await store.read(letter, await _id_of(store, prefix))
    if found is None:
        raise Refusal(f"there is no dead letter {prefix}")
    return found


async def _settle(settings: Settings, choice: _Choice, deed: _Deed) -> None:
    """Settle what was chosen, one transaction each. Raises Refusal when some could not be."""
    if choice.everything == bool(choice.ids):
        raise click.UsageError("give some ids, or --all")
    if choice.queue is not None and not choice.everything:
        raise click.UsageError("--queue goes with --all")
    done = failed = 0
    async with opened(settings) as store:
        async for letter_id in _chosen(store, choice):
            try:
                await deed.do(store, letter_id)
            except CannotRequeue as reason:
                failed += 1
                click.echo(f"{letter_id}: {reason}", err=True)
            else:
                done += 1
                _tell(deed, letter_id, done if choice.everything else None)
    if choice.everything:
        click.echo(f"{done} {deed.done}")
    if failed:
        raise Refusal(f"{failed} could not be {deed.done}")


def _tell(deed: _Deed, letter_id: str, count: int | None) -> None:
    """One is done: its id, or on a terminal the count of all so far."""
    if count is None:
        click.echo(f"{deed.done} {letter_id}")
    elif sys.stderr.isatty():
        click.echo(f"{count} {deed.done}\r", err=True, nl=False)


async def _chosen(store: Store, choice: _Choice) -> AsyncIterator[str]:
    if choice.everything:
        async for page in _pages(store, choice.queue or ""):
            for found in page:
                yield found.id
        return
    for letter_id in [await _id_of(store, prefix) for prefix in choice.ids]:
        yield letter_id


async def _pages(store: Store, queue: str) -> AsyncIterator[list[DeadLetter]]:
    """The open letters of the queues whose names begin so; one settled meanwhile disturbs nothing."""
    last: DeadLetter | None = None
    while page := await store.read(open_letters, PAGE, last):
        last = page[-1]
        if wanted := [found for found in page if found.queue.startswith(queue)]:
            yield wanted


async def _id_of(store: Store, prefix: str) -> str:
    """The one id that begins so. Raises Refusal."""
    try:
        found = await store.read(letters_like, prefix)
    except ValueError:
        found = []
    if not found:
        raise Refusal(f"no dead letter's id begins with {prefix}; see: gateway dead list")
    if len(found) > 1:
        raise Refusal(f"more than one dead letter's id begins with {prefix}; give more of it")
    return found[0]


def _pretty(body: str) -> str:
    try:
        return json.dumps(json.loads(body), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return _printable(body)


def _cut(line: str) -> str:
    """A line of a list, as wide as the terminal; whole where none reads it."""
    width = shutil.get_terminal_size().columns
    return line if not sys.stdout.isatty() or len(line) <= width else f"{line[: width - 1]}…"


def _printable(text: str) -> str:
    """Text from outside, with what would move a terminal's cursor escaped."""
    return "".join(
        c if c.isprintable() or c in "\n\x1b" else c.encode("unicode_escape").decode() for c in text
    )
