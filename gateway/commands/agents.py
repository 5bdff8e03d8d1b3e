"""`gateway agents`: the agents of gateway.toml and their revisions; drafts to be tried first."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from gateway.commands.options import config_option, data_dir_option, opened, read_settings
from gateway.commands.terminal import columns
from gateway.domain.clock import Clock
from gateway.service.revisions import draft_revisions, revision
from gateway.settings import AgentConfig, FlowAgent, Settings


@click.group()
def agents() -> None:
    """List agents and their revisions; store drafts to be tried.

    A conversation stays with the revision of its agent that it began with.
    """


@agents.command(name="list", epilog="Example: gateway agents list --config candidate.toml")
@config_option
@data_dir_option
def list_(config: Path | None, data_dir: Path) -> None:
    """List the agents of gateway.toml and the revision that each is at."""
    settings = read_settings(config, data_dir)
    rows = [(agent.slug, agent.kind.value, agent.revision_id) for agent in settings.config.agents.values()]
    for line in columns(rows, ("AGENT", "KIND", "REVISION")):
        click.echo(line)


@agents.command(epilog="Example: gateway agents draft --config candidate.toml")
@config_option
@data_dir_option
def draft(config: Path | None, data_dir: Path) -> None:
    """Store the agents of a file as drafts; a running gateway goes on as it is.

    The file is checked as at a start. Try a draft with POST /v1/agents/AGENT/simulations: its revision as
    revision_id, and compare set to true to see beside it what the revision in force answers.
    """
    settings = read_settings(config, data_dir)
    from workers.agents.catalogue import build_agents
    from workers.agents.http import HttpAgents

    build_agents(settings.config, HttpAgents(None, Clock()))
    found = list(settings.config.agents.values())
    known = asyncio.run(_draft(settings, found))
    rows = [(agent.slug, agent.revision_id, known[agent.slug]) for agent in found]
    for line in columns(rows, ("AGENT", "REVISION", "STATE")):
        click.echo(line)


@agents.command(epilog="Example: gateway agents diagram desk > desk.mmd")
@click.argument("agent")
@config_option
@data_dir_option
def diagram(agent: str, config: Path | None, data_dir: Path) -> None:
    """Print the graph of a flow (kind = "flow") as a Mermaid flowchart."""
    found = read_settings(config, data_dir).config.agent(agent)
    if found is None or not isinstance(found.definition, FlowAgent):
        raise click.BadParameter(f"gateway.toml has no flow {agent}", param_hint="AGENT")
    from workers.agents.flow.diagram import mermaid

    click.echo(mermaid(found.definition))


async def _draft(settings: Settings, found: Sequence[AgentConfig]) -> dict[str, str]:
    """How each stood before: new ones are drafts from now on."""
    organization_id = settings.config.organization_id
    states: dict[str, str] = {}
    async with opened(settings) as store:
        for agent in found:
            before = await store.read(revision, organization_id, agent.id, agent.revision_id)
            in_force = before is not None and before.activated_at is not None
            states[agent.slug] = "known" if in_force else "draft"
        await store.write(draft_revisions, organization_id, found)
    return states
