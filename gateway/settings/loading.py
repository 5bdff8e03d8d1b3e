"""The one reader: environment, gateway.toml and defaults into a frozen Settings, or a SettingsError."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from gateway.settings.configuration import GatewayConfig, read_config
from gateway.settings.environment import SECRETS, EnvironmentSettings, name_of
from gateway.settings.refusals import SettingsError, wording
from gateway.settings.sources import Gathered, Given, Source, gather, unknown_keys
from gateway.settings.tables import ConfigTables, read_tables


class Settings(EnvironmentSettings):
    """Everything a process is told at its start."""

    host: str
    port: int
    data_dir: Path
    config_path: Path | None
    """The gateway.toml that was read; None: the built-in configuration."""
    config: GatewayConfig
    warnings: tuple[str, ...]
    """Oddities that do not stop the start, a line each."""
    sources: Mapping[str, Source]
    """Who gave each setting, by field; what is not in it has its default."""

    @property
    def embedded(self) -> bool:
        """Whether the bus is the embedded one."""
        return self.amqp_url is None


def load_settings(
    environ: Mapping[str, str],
    *,
    config_path: Path | None,
    data_dir: Path,
    host: str,
    port: int,
    overrides: Mapping[str, object] = MappingProxyType({}),
) -> Settings:
    """Reads all settings: `overrides`, then environment, then gateway.toml, then defaults.

    `overrides` come from the command line, by field; None is as good as absent. Without a `config_path`
    the built-in configuration is used. Raises SettingsError: with what is wrong with the shape of
    gateway.toml, else with every problem there is.
    """
    tables = read_tables(config_path)
    gathered = gather(environ, tables.settings, config_path)
    problems = gathered.problems
    for key, value in overrides.items():
        if value is not None:
            gathered.given[key] = Given(value, f"--{key.replace('_', '-')}", Source.COMMAND_LINE)
    config = _config(tables, config_path, problems)
    defaults = {"database_url": f"sqlite:///{data_dir}/gateway.db", "public_url": _url(host, port)}
    checked = _checked(gathered, defaults, tables.organisation.name)
    if checked is None or problems:
        raise SettingsError(problems)
    if checked.spool_dir is not None and checked.sqlite_path is not None:
        gathered.warnings.append("GATEWAY_SPOOL_DIR: has no effect with SQLite; leave it out")
    if config_path is None:
        config = load_config(None, checked.mail_domain)
    return Settings.model_construct(
        **dict(checked),
        host=host,
        port=port,
        data_dir=data_dir,
        config_path=config_path,
        config=config,
        warnings=tuple(gathered.warnings),
        sources=MappingProxyType({key: given.source for key, given in gathered.given.items()}),
    )


def load_config(path: Path | None, mail_domain: str) -> GatewayConfig:
    """The configuration of a gateway.toml, or the built-in one for a mail domain; to be read again on SIGHUP.

    Raises SettingsError; what is in force then stays in force.
    """
    problems: list[str] = []
    config = _config(read_tables(path, mail_domain), path, problems)
    if problems:
        raise SettingsError(problems)
    return config


def _config(tables: ConfigTables, path: Path | None, problems: list[str]) -> GatewayConfig:
    """The configuration; what is wrong with it is added to the list, with the file's path before it."""
    found = unknown_keys(tables.settings)
    config = read_config(tables, found)
    problems += [f"{path}: {problem}" for problem in found]
    return config


def _checked(
    gathered: Gathered, defaults: Mapping[str, object], organisation: str
) -> EnvironmentSettings | None:
    """The settings, or None after their problems were added to what was gathered."""
    values = {**defaults, **{key: given.value for key, given in gathered.given.items()}}
    try:
        return EnvironmentSettings.model_validate(values, context={"organisation": organisation})
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if not detail["loc"]:
                gathered.problems.append(wording(detail))
                continue
            key = str(detail["loc"][0])
            name = gathered.given[key].name if key in gathered.given else name_of(key)
            gathered.problems.append(f"{name}: {wording(detail, secret=key in SECRETS)}")
        return None


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
