"""`gateway pause` and `gateway resume`: the kill switch, for all processes, wherever this one runs."""

import asyncio
from pathlib import Path

import click

from gateway.commands.options import config_option, data_dir_option, opened, read_settings
from gateway.commands.terminal import Refusal
from gateway.service import brake
from gateway.settings import Settings

BY = "command line"

agent_argument = click.argument("agent", required=False, metavar="[AGENT]")


@click.command(epilog="Example: gateway pause support --reason 'quotes old prices'")
@agent_argument
@click.option("--reason", help="For whoever wonders; no end user sees it.")
@config_option
@data_dir_option
def pause(agent: str | None, reason: str | None, config: Path | None, data_dir: Path) -> None:
    """Stop an agent, or all agents and all sending.

    It works at once on every process, over restarts, until gateway resume. What comes in is taken and waits.
    """
    if reason is not None and len(reason) > brake.MAX_REASON:
        raise click.BadParameter(f"must have at most {brake.MAX_REASON} characters", param_hint="--reason")
    settings = read_settings(config, data_dir)
    asyncio.run(_pause(settings, _subject(settings, agent), reason))
    click.echo(f"paused {_name(settings, agent)}; to go on: gateway resume{f' {agent}' if agent else ''}")


@click.command(epilog="Example: gateway resume support")
@agent_argument
@config_option
@data_dir_option
def resume(agent: str | None, config: Path | None, data_dir: Path) -> None:
    """Let a paused agent, or the paused organisation, go on.

    What has waited is answered, and sent, in order.
    """
    settings = read_settings(config, data_dir)
    if not asyncio.run(_resume(settings, _subject(settings, agent))):
        raise Refusal(f"{_name(settings, agent)} is not paused")
    click.echo(f"{_name(settings, agent)} goes on")


def _subject(settings: Settings, agent: str | None) -> str:
    """The id of an agent by slug or id, or of the organisation. Raises click.BadParameter."""
    config = settings.config
    if agent is None:
        return config.organization_id
    found = config.agent(agent)
    if found is None:
        known = ", ".join(config.agents)
        raise click.BadParameter(f"gateway.toml has no agent {agent}; it has {known}", param_hint="AGENT")
    return found.id


def _name(settings: Settings, agent: str | None) -> str:
    return f"the agent {agent}" if agent else f"the organisation {settings.config.organisation}"


async def _pause(settings: Settings, subject_id: str, reason: str | None) -> None:
    async with opened(settings) as store:
        await store.write(brake.pause, settings.config.organization_id, subject_id, by=BY, reason=reason)


async def _resume(settings: Settings, subject_id: str) -> bool:
    async with opened(settings) as store:
        return await store.write(brake.resume, subject_id, settings.partitions)
