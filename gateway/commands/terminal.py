"""What commands say: refusals as lines, tables, marks. Colours are left out where no terminal reads them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import click

from gateway.domain.errors import GatewayError
from gateway.settings import SettingsError
from gateway.store.migrate import UnknownSchema


@dataclass(frozen=True, slots=True)
class Told:
    """A refusal as it is told: a line a problem."""

    lines: tuple[str, ...]
    exit_code: int


class Refusal(click.ClickException):
    """The command cannot do it; the text is one line that says what to do. Exit code 1."""


def refusal(error: Exception) -> Told | None:
    """How an exception is told; None for a fault of ours."""
    match error:
        case SettingsError():
            return Told(error.problems, 2)
        case click.UsageError():
            command = error.ctx.command_path if error.ctx else "gateway"
            return Told((f"{_one_line(error.format_message())} (try: {command} --help)",), error.exit_code)
        case click.ClickException():
            return Told((_one_line(error.format_message()),), error.exit_code)
        case GatewayError() | UnknownSchema():
            return Told((_one_line(str(error)),), 1)
        case OSError() if error.filename is not None:
            return Told((f"{error.filename}: {error.strerror}",), 1)
    return None


def columns(rows: Iterable[Sequence[str]], heads: Sequence[str] = ()) -> list[str]:
    """Rows as lines with aligned columns; the last column is as wide as it is."""
    table = [*([heads] if heads else []), *rows]
    widths = [max(map(len, column)) for column in zip(*(row[:-1] for row in table), strict=True)]
    lines = [
        "  ".join([*(f"{cell:{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in table
    ]
    return [click.style(lines[0], bold=True), *lines[1:]] if heads else lines


def _one_line(text: str) -> str:
    return " ".join(text.split())
