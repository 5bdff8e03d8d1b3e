"""`gateway migrate`: the database's schema."""

import asyncio
from pathlib import Path

import click

from gateway.commands.options import config_option, data_dir_option, read_settings
from gateway.commands.terminal import Refusal
from gateway.settings import Settings
from gateway.store.migrate import migrate as bring_up_to_date
from gateway.store.migrate import verified


@click.command(epilog="Example: gateway migrate && gateway serve")
@click.option("--check", is_flag=True, help="Change nothing; list what is missing and exit 1 if anything is.")
@config_option
@data_dir_option
def migrate(check: bool, config: Path | None, data_dir: Path) -> None:
    """Bring the database's schema up to date.

    All of it or nothing; two at once wait for each other. dev does this by itself, every other role refuses
    to start on an old schema. Prints what was applied.
    """
    settings = read_settings(config, data_dir)
    url = settings.database_url.get_secret_value()
    missing = asyncio.run(verified(url) if check else bring_up_to_date(_reachable(settings, url)))
    for revision in missing:
        click.echo(f"{'missing' if check else 'applied'} {revision}")
    if check and missing:
        raise Refusal("the schema is behind; run: gateway migrate")
    if not missing:
        click.echo("the schema is up to date")


def _reachable(settings: Settings, url: str) -> str:
    """The URL; a file's folder is made."""
    if settings.sqlite_path is not None:
        settings.sqlite_path.parent.mkdir(parents=True, exist_ok=True)
    return url
