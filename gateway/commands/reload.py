"""`gateway reload`: tells the running gateway to read gateway.toml again."""

import os
import signal
from pathlib import Path

import click

from gateway.commands.options import config_option, data_dir_option, read_settings
from gateway.commands.terminal import Refusal
from gateway.store.lock import lock_owner


@click.command()
@config_option
@data_dir_option
def reload(config: Path | None, data_dir: Path) -> None:
    """Have the running gateway dev read gateway.toml again.

    The file is checked here first, and by the gateway itself; one that is not valid changes nothing. Running
    turns keep what they began with. In a distributed deployment send SIGHUP to each process instead.
    """
    settings = read_settings(config, data_dir)
    if not settings.embedded:
        raise Refusal("processes may run on many machines; send SIGHUP to each: kill -HUP PID")
    owner = lock_owner(settings.data_dir)
    if owner is None:
        raise Refusal(f"no gateway runs in {settings.data_dir}; --data-dir says where it does")
    try:
        os.kill(owner, signal.SIGHUP)
    except (ProcessLookupError, PermissionError) as error:
        raise Refusal(f"process {owner} cannot be told: {error.strerror}") from None
    click.echo(f"told process {owner} to read {settings.config_path or 'its configuration'} again")
