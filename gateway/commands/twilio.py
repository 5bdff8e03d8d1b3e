"""`gateway twilio connect`: a Twilio account's numbers are pointed at this gateway, and back."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from channels.twilio.numbers import (
    Change,
    Number,
    NumberSettings,
    TwilioNumbers,
    TwilioRefusal,
    changes,
    wanted,
)
from gateway.channel_ports.accounts import twilio_channels, twilio_credentials
from gateway.commands.options import config_option, data_dir_option, read_settings
from gateway.commands.replaced import Replaced
from gateway.commands.terminal import Refusal, columns
from gateway.domain.message import Channel
from gateway.settings import Settings, SettingsError

_LOCAL = ("http://", "https://127.", "https://localhost", "https://[::1]")


@click.group()
def twilio() -> None:
    """Set up the numbers of a Twilio account."""


@twilio.command(epilog="Example: gateway twilio connect +15550100")
@click.argument("numbers", nargs=-1, metavar="[NUMBER]...")
@click.option("--all", "every", is_flag=True, help="Every number that is in gateway.toml.")
@click.option("--undo", is_flag=True, help="Set them back to what they were before they were connected.")
@click.option(
    "--fallback-url", metavar="URL", help="Another way to this gateway, asked where the first fails."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@data_dir_option
def connect(  # noqa: PLR0913 - one argument per option
    numbers: tuple[str, ...],
    every: bool,
    undo: bool,
    fallback_url: str | None,
    yes: bool,
    config: Path | None,
    data_dir: Path,
) -> None:
    """Point numbers of the account at this gateway: webhooks, fallback, call status and retries.

    Without a NUMBER, lists what the account has and changes nothing. Shows what it would change and asks
    first; what was set before is kept in the data folder for --undo.
    """
    settings = read_settings(config, data_dir)
    _check(settings, undo=undo)
    work = _Connecting(settings, Replaced(data_dir / "twilio-numbers.json"), (fallback_url or "").rstrip("/"))
    try:
        asyncio.run(work.run(numbers, every=every, undo=undo, yes=yes))
    except TwilioRefusal as error:
        raise Refusal(str(error)) from error


def _check(settings: Settings, *, undo: bool) -> None:
    problems = []
    if settings.twilio_account_sid is None:
        problems.append("TWILIO_ACCOUNT_SID: unset; it is on the first page of Twilio's console")
    if not settings.twilio_auth_tokens:
        problems.append("TWILIO_AUTH_TOKEN: unset; it is on the first page of Twilio's console")
    if settings.public_url.startswith(_LOCAL) and not undo:
        problems.append(
            "GATEWAY_PUBLIC_URL: must be the https:// URL under which Twilio reaches this gateway"
        )
    if problems:
        raise SettingsError(problems)


class _Connecting:
    """One run of the command."""

    def __init__(self, settings: Settings, replaced: Replaced, fallback_url: str) -> None:
        credentials = twilio_credentials(settings)
        if credentials is None:
            raise AssertionError("the tokens were checked")
        self._settings = settings
        self._replaced = replaced
        self._fallback_url = fallback_url or settings.public_url
        self._numbers = TwilioNumbers(credentials)

    async def run(self, chosen: Sequence[str], *, every: bool, undo: bool, yes: bool) -> None:
        """List, or show, ask and set."""
        try:
            there = {number.phone_number: number for number in await self._numbers.all()}
            if not chosen and not every and not undo:
                self._list(list(there.values()))
                return
            plan = self._undone(there, chosen) if undo else self._connected(there, chosen)
            if self._shown(plan) and (yes or click.confirm("Change them?")):
                await self._set(plan, undo=undo)
            elif any(changes(number.settings, after) for number, after in plan):
                raise Refusal("nothing was changed")
        finally:
            await self._numbers.close()

    def _list(self, numbers: Sequence[Number]) -> None:
        if not numbers:
            raise Refusal("this account has no numbers; buy one in Twilio's console")
        rows = [
            (one.phone_number, one.name, ", ".join(self._channels(one)) or "-", self._state(one))
            for one in numbers
        ]
        for line in columns(rows, ("NUMBER", "NAME", "IN GATEWAY.TOML", "STATE")):
            click.echo(line)
        click.echo(
            "\nConnect some with: gateway twilio connect NUMBER…, or all that are in gateway.toml: --all"
        )

    def _state(self, number: Number) -> str:
        if not self._channels(number):
            return "add it to gateway.toml first"
        return "not connected" if changes(number.settings, self._wanted(number)) else "connected"

    def _channels(self, number: Number) -> list[Channel]:
        return twilio_channels(self._settings, number.phone_number)

    def _wanted(self, number: Number) -> NumberSettings:
        channels = self._channels(number)
        return wanted(
            number.settings,
            self._settings.public_url,
            self._fallback_url,
            sms=Channel.SMS in channels,
            voice=Channel.VOICE in channels,
        )

    def _connected(
        self, there: dict[str, Number], chosen: Sequence[str]
    ) -> list[tuple[Number, NumberSettings]]:
        numbers = _picked(there, chosen) if chosen else [one for one in there.values() if self._channels(one)]
        if not numbers:
            raise Refusal("no number of this account is in gateway.toml; add [[addresses]] for them")
        strangers = [one.phone_number for one in numbers if not self._channels(one)]
        if strangers:
            raise Refusal(f"{', '.join(strangers)}: not in gateway.toml; add [[addresses]] for it first")
        return [(one, self._wanted(one)) for one in numbers]

    def _undone(self, there: dict[str, Number], chosen: Sequence[str]) -> list[tuple[Number, NumberSettings]]:
        kept = self._replaced.all()
        numbers = _picked(there, chosen) if chosen else [one for one in there.values() if one.sid in kept]
        unknown = [one.phone_number for one in numbers if one.sid not in kept]
        if unknown or not numbers:
            raise Refusal(f"{', '.join(unknown) or 'no number'}: was not connected from this data folder")
        return [(one, kept[one.sid]) for one in numbers]

    def _shown(self, plan: Sequence[tuple[Number, NumberSettings]]) -> bool:
        """Whether there is anything to change, after it was shown."""
        anything = False
        for number, after in plan:
            different = changes(number.settings, after)
            anything = anything or bool(different)
            head = click.style(number.phone_number, bold=True)
            click.echo(f"{head}  {number.name}" + ("" if different else "  is set up already"))
            for change in different:
                click.echo(_line(change))
        return anything

    async def _set(self, plan: Sequence[tuple[Number, NumberSettings]], *, undo: bool) -> None:
        for number, after in plan:
            if not undo:
                self._replaced.keep(number.sid, number.settings)
            await self._numbers.change(number, after)
            if undo:
                self._replaced.forget(number.sid)
            click.echo(f"{number.phone_number}  {'as it was before' if undo else 'connected'}")


def _picked(there: dict[str, Number], chosen: Sequence[str]) -> list[Number]:
    unknown = [number for number in chosen if number not in there]
    if unknown:
        raise Refusal(
            f"{', '.join(unknown)}: not a number of this account; it has: {', '.join(there) or '-'}"
        )
    return [there[number] for number in dict.fromkeys(chosen)]


def _line(change: Change) -> str:
    return f"  {change.setting:23} {change.before or '(unset)'} → {change.after or '(unset)'}"
