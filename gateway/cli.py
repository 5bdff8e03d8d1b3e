"""The command `gateway`: which commands there are, and how a refusal is told.

A refusal is one line a problem on stderr, with exit code 2 for bad usage or configuration and 1 for the rest.
A command's module is imported when the command is called, so that `gateway --help` is quick.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

import click

from gateway import __version__


class Entry(NamedTuple):
    """Where a command is, under which heading it is listed, and its line there."""

    module: str
    heading: str
    line: str


_RUN, _CARE, _LOOK, _TRY = "Run", "Look after", "Look into", "Try out"

COMMANDS: Mapping[str, Entry] = {
    "dev": Entry("dev", _RUN, "Run everything in one process, with nothing to set up."),
    "serve": Entry("roles", _RUN, "Serve HTTP: provider webhooks, API and console."),
    "smtp": Entry("roles", _RUN, "Take mail in for GATEWAY_MAIL_DOMAIN."),
    "worker": Entry("roles", _RUN, "Run turns, deliveries and the work around them."),
    "migrate": Entry("migrate", _CARE, "Bring the database's schema up to date."),
    "doctor": Entry(
        "doctor",
        _CARE,
        "Check configuration, database, broker, attachments, mail, providers, agents and their models.",
    ),
    "reload": Entry("reload", _CARE, "Have the running gateway dev read gateway.toml again."),
    "twilio": Entry("twilio", _CARE, "Set up the numbers of a Twilio account."),
    "pause": Entry("brakes", _CARE, "Stop an agent, or all agents and all sending."),
    "resume": Entry("brakes", _CARE, "Let a paused agent, or the paused organisation, go on."),
    "agents": Entry("agents", _CARE, "List agents and their revisions; store drafts to be tried."),
    "keys": Entry("keys", _CARE, "Create, list and revoke API keys."),
    "dead": Entry("dead", _CARE, "List, show, requeue and discard dead letters."),
    "export": Entry("export", _LOOK, "Print the generated contracts: OpenAPI, AsyncAPI."),
    "knowledge": Entry("knowledge", _LOOK, "Index the documents that agents know, and search them."),
    "sms": Entry("texts", _LOOK, "What a text costs as SMS, and how it is cut."),
    "mail": Entry("mail", _LOOK, "What is made of a raw mail, and what a mail domain needs."),
    "voice": Entry("texts", _LOOK, "What a voice host is sent for an intent."),
    "demo": Entry("trials", _TRY, "One scripted pass over every channel."),
    "bench": Entry("trials", _TRY, "Measure this machine."),
}


class Commands(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of them, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = getattr(import_module(f"gateway.commands.{entry.module}"), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"gateway.commands.{entry.module}.{cmd_name} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands under their headings, aligned with each other."""
        width = max(map(len, COMMANDS))
        for heading in dict.fromkeys(entry.heading for entry in COMMANDS.values()):
            rows = [(f"{n:{width}}", e.line) for n, e in COMMANDS.items() if e.heading == heading]
            with formatter.section(heading):
                formatter.write_dl(rows)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command and exit; with `standalone_mode` off, raise and return as click does."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except BrokenPipeError:
            # whoever read our output has seen enough; the interpreter must not flush what is left
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except Exception as error:
            _refuse(error)
        sys.exit(code if isinstance(code, int) else 0)


def _refuse(error: Exception) -> NoReturn:
    """Tell a refusal and exit; any other exception is a fault of ours and goes on."""
    if isinstance(error, click.Abort):
        sys.exit(130)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        sys.exit(error.exit_code)
    from gateway.commands.terminal import refusal

    told = refusal(error)
    if told is None:
        raise error
    for line in told.lines:
        click.echo(f"{click.style('gateway:', fg='red')} {line}", err=True)
    sys.exit(told.exit_code)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start here: gateway dev. Settings come from the environment, then gateway.toml; "
    "gateway doctor --show prints them.",
)
@click.version_option(__version__, prog_name="gateway", message="%(prog)s %(version)s")
def cli() -> None:
    """People write an SMS or an e-mail, call, or use the API; an AI agent answers in the same channel."""


def main() -> NoReturn:
    """The console entry."""
    cli(prog_name="gateway")
    raise AssertionError("a command exits")
