"""`gateway doctor`: a line a check, and what to do about those that fail."""

import asyncio
from pathlib import Path

import click

from gateway.commands.checks import all_findings
from gateway.commands.findings import Finding, Verdict
from gateway.commands.options import config_option, data_dir_option, read_settings
from gateway.commands.terminal import columns
from gateway.settings import SettingsError, settings_table

_COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.SKIP: "cyan", Verdict.FAIL: "red"}


@click.command(epilog="Example: gateway doctor --show")
@click.option("--show", is_flag=True, help="Print every setting first, and who gave it; secrets are masked.")
@config_option
@data_dir_option
@click.pass_context
def doctor(ctx: click.Context, show: bool, config: Path | None, data_dir: Path) -> None:
    """Check configuration, database, broker, attachments, mail, providers, agents and their models.

    A line each: ok, warn, skip (not configured) or fail, with what to do. Exit code 1 if one fails. Nothing
    is sent to anybody and nothing is changed, but for a file that is put among the attachments and deleted.
    """
    try:
        settings = read_settings(config, data_dir)
    except SettingsError as error:
        _print([Finding("settings", Verdict.FAIL, problem) for problem in error.problems])
        ctx.exit(1)
    if show:
        for line in columns(settings_table(settings), ("NAME", "VALUE", "FROM")):
            click.echo(line)
        click.echo()
    findings = asyncio.run(all_findings(settings))
    _print(findings)
    ctx.exit(1 if any(finding.verdict is Verdict.FAIL for finding in findings) else 0)


def _print(findings: list[Finding]) -> None:
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        mark = click.style(f"{finding.verdict.value:4}", fg=_COLOURS[finding.verdict])
        click.echo(f"{mark}  {finding.subject:{width}}  {finding.text}")
