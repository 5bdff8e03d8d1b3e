"""Settings for people to read, with the secrets masked."""

from enum import StrEnum

from pydantic import SecretStr

from gateway.settings.environment import ApiKeySetting, EnvironmentSettings, MailAuth, name_of
from gateway.settings.loading import Settings
from gateway.settings.sources import Source
from gateway.settings.values import HostPort, masked_url

_MASK = "***"


def settings_table(settings: Settings) -> list[tuple[str, str, str]]:
    """Every setting: its name in the environment, its value as it may be shown, and who gave it."""
    return [
        (name_of(key), _shown(getattr(settings, key)), settings.sources.get(key, Source.DEFAULT).value)
        for key in EnvironmentSettings.model_fields
    ]


def _shown(value: object) -> str:
    match value:
        case None | ():
            return "unset"
        case tuple():
            return ", ".join(map(_shown, value))
        case SecretStr():
            return _masked(value.get_secret_value())
        case ApiKeySetting(role=role, organisation=organisation, name=name):
            return ":".join(filter(None, (_MASK, role.value, organisation, name)))
        case MailAuth(mode=mode, authserv_id=server):
            return f"{mode.value}:{server}" if server else mode.value
        case HostPort(host=host, port=port):
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        case bool():
            return str(int(value))
        case StrEnum():
            return value.value
        case _:
            return str(value)


def _masked(secret: str) -> str:
    return masked_url(secret) if "://" in secret else _MASK
