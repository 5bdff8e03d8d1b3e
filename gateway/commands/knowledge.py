"""`gateway knowledge`: the folders of documents that agents know, indexed now, and asked."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from gateway.commands.options import config_option, data_dir_option, opened, read_settings
from gateway.commands.terminal import Refusal
from gateway.domain.agent import EvidenceItem
from gateway.settings import Settings


@click.group()
def knowledge() -> None:
    """Index the documents that agents know, and search them.

    Markdown, text, HTML and PDF in the folders that gateway.toml names as knowledge. Running timers index
    what changes by themselves.
    """


@knowledge.command(epilog="Example: gateway knowledge index")
@config_option
@data_dir_option
def index(config: Path | None, data_dir: Path) -> None:
    """Index now what has changed."""
    settings = read_settings(config, data_dir)
    asyncio.run(_index(settings))


@knowledge.command(epilog="Example: gateway knowledge search 'how long do refunds take'")
@click.argument("question")
@click.option("--limit", type=click.IntRange(1, 50), default=5, show_default=True, help="Chunks to show.")
@config_option
@data_dir_option
def search(question: str, limit: int, config: Path | None, data_dir: Path) -> None:
    """Show what is found for a QUESTION, the best first: score, place, text."""
    found = asyncio.run(_search(read_settings(config, data_dir), question, limit))
    if not found:
        raise Refusal("nothing fits; gateway knowledge index says what is indexed")
    for item in found:
        click.echo(f"{item.score:.3g}  {item.label}")
        click.echo("\n".join(f"      {line}" for line in item.text.splitlines() if line.strip()))


async def _index(settings: Settings) -> None:
    from workers.knowledge.folders import folders_of
    from workers.knowledge.indexer import Indexer

    folders = folders_of(settings.config, settings.config_path)
    if not folders:
        raise Refusal("no agent of gateway.toml names folders as knowledge")
    missing = [folder.name for folder in folders if not folder.path.is_dir()]
    if missing:
        raise Refusal(f"there is no folder {missing[0]} beside gateway.toml")
    async with opened(settings) as store:
        looked = await Indexer(store, settings.config.organization_id, lambda: folders).look()
    click.echo(f"indexed {looked.indexed}, removed {looked.removed}, refused {looked.refused}")


async def _search(settings: Settings, question: str, limit: int) -> Sequence[EvidenceItem]:
    from gateway.service.knowledge import KnowledgeIndex
    from workers.knowledge.folders import folders_of

    folders = [folder.name for folder in folders_of(settings.config, settings.config_path)]
    async with opened(settings) as store:
        return await KnowledgeIndex(store).search(settings.config.organization_id, folders, question, limit)
