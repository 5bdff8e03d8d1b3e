"""Where a setting's value comes from: command line, environment, gateway.toml, or a file that they name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from gateway.settings.environment import NAMES
from gateway.settings.refusals import dotted, hint, nearest, shown

MAX_FILE_BYTES = 65_536
_FILE = "_FILE"
_PREFIXES = ("GATEWAY_", "TWILIO_", "TELNYX_", "JAMBONZ_")
_SERVICE_LINK = re.compile(
    r"[A-Z0-9_]+(_SERVICE_HOST|_SERVICE_PORT(_[A-Z0-9_]+)?|_ADDR|_PROTO|_PORT_[0-9]+_(TCP|UDP|SCTP)(_PORT)?)"
)
_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://")


class Source(StrEnum):
    """Who gave a value; the earlier wins."""

    COMMAND_LINE = "command line"
    ENVIRONMENT = "environment"
    FILE = "gateway.toml"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Given:
    """A value before it is checked."""

    value: object
    name: str
    """As whoever gave it calls it."""
    source: Source


@dataclass(slots=True)
class Gathered:
    """What was given, by field, and what was wrong or odd about the names."""

    given: dict[str, Given] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, values: Mapping[str, object], prefix: str, source: Source) -> None:
        """Takes the values by name (`GATEWAY_…`) of one source, unless an earlier source gave them.

        `prefix` is put before a name where it is reported: the path of the file it stands in.
        """
        for setting, key in NAMES.items():
            names = [name for name in (setting, setting + _FILE) if _is_set(name, values)]
            if not names or key in self.given:
                continue
            label = _label(names[0], prefix)
            if len(names) == 2:
                self.problems.append(f"{label}: set together with {_label(names[1], prefix)}; leave one out")
            value = values[names[0]]
            if names[0] != setting:
                value = self._read(value, label)
            if value is not None:
                self.given[key] = Given(value, label, source)

    def _read(self, path: object, label: str) -> str | None:
        """The text of a file without the line end at its end; None after its problem was added."""
        try:
            with Path(str(path)).open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
            if len(content) <= MAX_FILE_BYTES:
                return content.decode().rstrip("\r\n")
            reason = f"larger than {MAX_FILE_BYTES} bytes"
        except UnicodeDecodeError:
            reason = "not UTF-8"
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or "not a path"
        self.problems.append(f"{label}: the file cannot be read: {reason}")
        return None


def gather(
    environ: Mapping[str, str], tables: Mapping[str, Mapping[str, object]], file: Path | None
) -> Gathered:
    """What the environment and the settings tables (`[gateway]`, …) of a file say, environment first."""
    gathered = Gathered()
    links = {name for name, value in environ.items() if _is_service_link(name, value)}
    own = {name: value for name, value in environ.items() if name.startswith(_PREFIXES) and name not in links}
    gathered.add(own, "", Source.ENVIRONMENT)
    for name in sorted(own):
        _judge(name, gathered)
    for table, values in tables.items():
        known = _keys_of(table)
        gathered.add(
            {f"{table}_{key}".upper(): value for key, value in values.items() if key in known},
            f"{file}: {table}.",
            Source.FILE,
        )
    return gathered


def unknown_keys(tables: Mapping[str, Mapping[str, object]]) -> list[str]:
    """What is wrong with the keys of the settings tables (`[gateway]`, `[twilio]`, …), a line each."""
    return [
        f"{dotted(table, key)}: unknown key; {hint(key, _keys_of(table))}"
        for table, values in tables.items()
        for key in sorted(set(values) - set(_keys_of(table)))
    ]


def _is_set(name: str, values: Mapping[str, object]) -> bool:
    """An empty value is as good as none: compose files pass those on."""
    value = values.get(name)
    return value is not None and not (isinstance(value, str) and not value.strip())


def _label(name: str, prefix: str) -> str:
    """A name as its source calls it; in a file it is in lower case and its table stands in the prefix."""
    return prefix + name.partition("_")[2].lower() if prefix else name


def _keys_of(table: str) -> list[str]:
    start = f"{table.upper()}_"
    names = [name.removeprefix(start).lower() for name in NAMES if name.startswith(start)]
    return names + [f"{name}{_FILE.lower()}" for name in names]


def _judge(name: str, gathered: Gathered) -> None:
    """An unknown name near a known one is a mistake; another may be somebody else's."""
    prefix = next(prefix for prefix in _PREFIXES if name.startswith(prefix))
    known = {own.removeprefix(prefix): own for setting in NAMES for own in (setting, setting + _FILE)}
    key = name.removeprefix(prefix)
    if known.get(key) == name:
        return
    near = nearest(key, known)
    if near:
        gathered.problems.append(f"{_printable(name)}: unknown setting; nearest valid name: {known[near]}")
    elif prefix == "GATEWAY_":
        gathered.warnings.append(f"{_printable(name)}: unknown setting, ignored")


def _is_service_link(name: str, value: str) -> bool:
    """Variables that Kubernetes sets for every service of the namespace, such as one called gateway-smtp."""
    if name.endswith("_PORT") and _LINK_VALUE.match(value):
        return True
    return bool(_SERVICE_LINK.fullmatch(name))


def _printable(name: str) -> str:
    return name if name.isprintable() and len(name) <= 128 else shown(name)
