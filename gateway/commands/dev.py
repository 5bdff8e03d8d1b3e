"""`gateway dev`: every role in one process, with keys and tokens made up where none are set."""

import secrets
from dataclasses import dataclass
from pathlib import Path

import click
from pydantic import SecretStr

from gateway.commands.options import config_option, data_dir_option, host_option, port_option, read_settings
from gateway.commands.roles import run_process
from gateway.commands.welcome import Ready, welcome
from gateway.settings import ApiKeySetting, KeyRole, Settings

_RANDOM_BYTES = 24


@click.command(
    epilog="Examples: gateway dev, gateway dev --port 9000 --smtp-port 9025 --data-dir /tmp/try, "
    "gateway dev --config shop.toml"
)
@host_option
@port_option
@click.option(
    "--smtp-port",
    type=click.IntRange(0, 65_535),
    metavar="PORT",
    help="Port to take mail on; 0 takes a free one.  [default: GATEWAY_SMTP_PORT, else 8025]",
)
@data_dir_option
@config_option
def dev(host: str, port: int, smtp_port: int | None, data_dir: Path, config: Path | None) -> None:
    """Run everything in one process, with nothing to set up.

    An SQLite file, no broker, no account anywhere. Without GATEWAY_API_KEYS an API key is made up, and
    without TWILIO_AUTH_TOKEN a token to sign webhooks with; both last until the end of the process. Replies
    that nothing is configured to send are stored, not sent.

    Prints "ready http://HOST:PORT smtp://HOST:PORT" once it takes messages, then what to try. Ctrl-C or
    SIGTERM finishes what is in flight and ends it, a second one ends it at once; SIGHUP (gateway reload)
    reads gateway.toml again.
    """
    secured = _secured(read_settings(config, data_dir, host=host, port=port, smtp_port=smtp_port))
    from gateway.app import Plan, Role

    def announce(line: str) -> None:
        click.echo(line)
        for text in welcome(secured.settings, Ready.from_line(line), made_up=secured.made_up):
            click.echo(text)

    run_process(secured.settings, Plan(roles=frozenset(Role), migrate=True, announce=announce))


@dataclass(frozen=True, slots=True)
class _Secured:
    """Settings with an API key, a Twilio token, jambonz's login, and the names of those that were made up."""

    settings: Settings
    made_up: frozenset[str]


def _secured(settings: Settings) -> _Secured:
    made_up: dict[str, object] = {}
    if not settings.api_keys:
        key = SecretStr(secrets.token_urlsafe(_RANDOM_BYTES))
        made_up["api_keys"] = (ApiKeySetting(key, KeyRole.ADMIN, settings.config.organisation, "dev"),)
    if not settings.twilio_auth_tokens:
        made_up["twilio_auth_tokens"] = (SecretStr(secrets.token_hex(_RANDOM_BYTES)),)
    if settings.jambonz_webhook_login is None:
        made_up["jambonz_webhook_login"] = SecretStr(f"dev:{secrets.token_hex(_RANDOM_BYTES)}")
    return _Secured(settings.model_copy(update=made_up), frozenset(made_up))
