"""The settings that one process takes from its environment, and who may use the API by them."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, field_validator, model_validator

from gateway.domain.crash_point import CrashPoint
from gateway.settings.attachments import AttachmentPlace, parse_attachments_url
from gateway.settings.mail import MailDoors, parse_domains, parse_login
from gateway.settings.tables import DEFAULT_MAIL_DOMAIN
from gateway.settings.values import (
    Domain,
    Host,
    HostAndPort,
    Number,
    Port,
    Text,
    WebUrl,
    parse_server_url,
)

_SQLITE = "sqlite:///"
_SECONDS = Field(gt=0, le=3600)
_MAX_API_KEYS = 1000
MAX_ATTACHMENT_BYTES = 104_857_600
"""A file is in memory once while it is taken in."""
_PUBLIC_KEY = re.compile(r"[A-Za-z0-9+/]{43}=")


class LogLevel(StrEnum):
    """The least important lines that are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class KeyRole(StrEnum):
    """What an API key may do: admin includes operator, operator includes client."""

    CLIENT = "client"
    OPERATOR = "operator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKeySetting:
    """An API key that is given by GATEWAY_API_KEYS rather than stored."""

    key: SecretStr
    role: KeyRole
    organisation: str
    """Name of the organisation it belongs to; that of gateway.toml unless given."""
    name: str


class MailAuthMode(StrEnum):
    """Who decides whether a mail is from whom it says."""

    VERIFY = "verify"
    """We check SPF, DKIM and DMARC ourselves."""
    TRUST = "trust"
    """Our MX has checked; its Authentication-Results header counts (RFC 8601)."""
    OFF = "off"


@dataclass(frozen=True, slots=True)
class MailAuth:
    """GATEWAY_MAIL_AUTH."""

    mode: MailAuthMode
    authserv_id: str | None = None
    """Whose Authentication-Results are trusted; set with `trust` only."""


def parse_database_url(value: object) -> SecretStr:
    """`sqlite:///<path of a file>` or `postgresql://…`; SQLite in memory is refused, it has no WAL."""
    if isinstance(value, str) and value.strip().startswith("sqlite:"):
        path = value.strip().removeprefix(_SQLITE)
        if path.startswith(("sqlite:", ":memory:")) or not path.isprintable() or not path:
            raise ValueError(f"must name a file for SQLite, like {_SQLITE}data/gateway.db")
        return SecretStr(_SQLITE + path)
    try:
        url = parse_server_url(value, ("postgresql", "postgres"))
    except ValueError:
        raise ValueError(f"must be {_SQLITE}<path> or postgresql://user:password@host/database") from None
    return SecretStr("postgresql://" + url.partition("://")[2])


def parse_api_keys(value: object, info: ValidationInfo) -> tuple[ApiKeySetting, ...]:
    """`key:role[:organisation[:name]]`, comma-separated; the context holds the default organisation."""
    if not isinstance(value, str):
        raise ValueError("must be key:role[:organisation[:name]], comma-separated")
    own: str = (info.context or {}).get("organisation", "")
    keys: dict[str, ApiKeySetting] = {}
    for number, entry in enumerate(filter(None, map(str.strip, value.split(","))), 1):
        key, role, organisation, name, *more = [*map(str.strip, entry.split(":")), "", "", ""]
        if not key or any(more):
            raise ValueError(f"entry {number} must be key:role[:organisation[:name]]")
        if role not in list(KeyRole):
            raise ValueError(f"the role of entry {number} must be one of {', '.join(sorted(KeyRole))}")
        if key in keys:
            raise ValueError(f"the key of entry {number} is there twice")
        keys[key] = ApiKeySetting(SecretStr(key), KeyRole(role), organisation or own, name)
    if len(keys) > _MAX_API_KEYS:
        raise ValueError(f"must have at most {_MAX_API_KEYS} entries")
    return tuple(keys.values())


def parse_tokens(value: object) -> tuple[SecretStr, ...]:
    """Comma-separated tokens, the newest first."""
    tokens = value.split(",") if isinstance(value, str) else []
    if not any(map(str.strip, tokens)):
        raise ValueError("must be one or more tokens, comma-separated")
    return tuple(SecretStr(token.strip()) for token in tokens if token.strip())


def parse_public_keys(value: object) -> tuple[str, ...]:
    """Comma-separated Ed25519 public keys in base64, each of 32 bytes (RFC 8032 §5.1.5)."""
    keys = [part.strip() for part in value.split(",")] if isinstance(value, str) else []
    if not keys or not all(_PUBLIC_KEY.fullmatch(key) for key in keys):
        raise ValueError("must be one or more public keys in base64, comma-separated")
    return tuple(keys)


def parse_mail_auth(value: object) -> MailAuth:
    """`verify`, `trust:<authserv-id>` or `off`."""
    mode, colon, server = value.strip().partition(":") if isinstance(value, str) else ("", "", "")
    trusts = mode == MailAuthMode.TRUST
    if mode not in list(MailAuthMode) or bool(colon) != trusts or trusts != bool(server.strip()):
        raise ValueError("must be verify, trust:<authserv-id> or off")
    return MailAuth(MailAuthMode(mode), server.strip() or None)


def _url(*schemes: str) -> BeforeValidator:
    return BeforeValidator(lambda value: SecretStr(parse_server_url(value, schemes)))


class EnvironmentSettings(MailDoors):
    """Every setting that has a name in the environment; `name_of` says which."""

    database_url: Annotated[SecretStr, BeforeValidator(parse_database_url)]
    amqp_url: Annotated[SecretStr, _url("amqp", "amqps")] | None = None
    """None: the embedded bus, in one process only."""
    partitions: Annotated[int, Number, Field(ge=1, le=1024)] = 16
    public_url: WebUrl
    """What providers see, without a closing slash."""
    api_keys: Annotated[tuple[ApiKeySetting, ...], BeforeValidator(parse_api_keys)] = ()
    turn_timeout_seconds: Annotated[float, Number, _SECONDS] = 60
    drain_seconds: Annotated[float, Number, _SECONDS] = 25
    amqp_prefix: Annotated[str, Field(max_length=64)] = "gateway."
    agent_secret: SecretStr | None = None
    log_format: Literal["text", "json"] | None = None
    """None: text on a terminal, else JSON."""
    log_level: LogLevel = LogLevel.INFO
    crash_at: CrashPoint | None = None
    """For tests only: where the process kills itself."""
    log_bodies: bool = False
    """Whether log lines may hold what people write."""
    otel_endpoint: WebUrl | None = None
    webhook_allow_private: bool = False
    spool_dir: Path | None = None
    attachments_url: Annotated[AttachmentPlace, BeforeValidator(parse_attachments_url)] | None = None
    """Where attachments are kept; None: a folder in the data folder."""
    attachments_access_key_id: Text | None = None
    """For a bucket; None, with the secret: what the environment gives (AWS_…, the role of machine or pod)."""
    attachments_secret_access_key: SecretStr | None = None
    attachment_max_bytes: Annotated[int, Number, Field(ge=1, le=MAX_ATTACHMENT_BYTES)] = 26_214_400
    """The largest file that is kept."""
    api_url: WebUrl | None = None
    """What users of the API see, without a closing slash; None: the public URL."""
    twilio_account_sid: Text | None = None
    twilio_auth_tokens: Annotated[tuple[SecretStr, ...], BeforeValidator(parse_tokens)] = ()
    """All are accepted in signatures; the first is used for REST calls."""
    twilio_api_url: WebUrl = "https://api.twilio.com"
    telnyx_api_key: SecretStr | None = None
    telnyx_public_keys: Annotated[tuple[str, ...], BeforeValidator(parse_public_keys)] = ()
    """Of Telnyx, not ours: events may be signed with any of them."""
    telnyx_api_url: WebUrl = "https://api.telnyx.com"
    telnyx_media_domains: Annotated[tuple[str, ...], BeforeValidator(parse_domains)] = (
        "telnyx.com",
        "telnyxstorage.com",
    )
    """Whose hosts files of messages are fetched from, over https."""
    jambonz_webhook_login: Annotated[SecretStr, BeforeValidator(parse_login)] | None = None
    """What jambonz shows on its WebSocket and its webhooks; ours, and set at its application."""
    jambonz_api_url: WebUrl = "https://api.jambonz.cloud"
    """Where its REST API is, without the `/v1`."""
    jambonz_api_key: SecretStr | None = None
    """With the two sids: calls begin over jambonz, too."""
    jambonz_account_sid: Text | None = None
    jambonz_application_sid: Text | None = None
    """The application that has our WebSocket and webhooks."""
    smtp_host: Host = "127.0.0.1"
    smtp_port: Port = 8025
    mail_domain: Domain = DEFAULT_MAIL_DOMAIN
    smtp_relay_url: Annotated[SecretStr, _url("smtp", "smtps", "smtp+starttls")] | None = None
    dkim_selector: Domain | None = None
    dkim_key_file: Path | None = None
    mail_auth: Annotated[MailAuth, BeforeValidator(parse_mail_auth)] = MailAuth(MailAuthMode.VERIFY)
    dns_server: HostAndPort | None = None
    """The resolver for mail authentication; None: the system's."""

    @field_validator("amqp_prefix")
    @classmethod
    def _names_queues(cls, value: str) -> str:
        if not all(
            character.isascii() and (character.isalnum() or character in "._-") for character in value
        ):
            raise ValueError("must have only letters, digits and ._-")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> "EnvironmentSettings":
        if self.amqp_url and self.sqlite_path:
            raise ValueError(
                "GATEWAY_AMQP_URL: a broker needs a database that processes share; "
                "set GATEWAY_DATABASE_URL to postgresql://… or leave GATEWAY_AMQP_URL out"
            )
        if (self.dkim_selector is None) != (self.dkim_key_file is None):
            raise ValueError("GATEWAY_DKIM_SELECTOR: goes together with GATEWAY_DKIM_KEY_FILE")
        if (self.attachments_access_key_id is None) != (self.attachments_secret_access_key is None):
            raise ValueError(
                "GATEWAY_ATTACHMENTS_ACCESS_KEY_ID: goes together with GATEWAY_ATTACHMENTS_SECRET_ACCESS_KEY"
            )
        calling = (self.jambonz_api_key, self.jambonz_account_sid, self.jambonz_application_sid)
        if len({value is None for value in calling}) > 1:
            raise ValueError(
                "JAMBONZ_API_KEY: goes together with JAMBONZ_ACCOUNT_SID and JAMBONZ_APPLICATION_SID"
            )
        if (self.smtp_tls_cert_file is None) != (self.smtp_tls_key_file is None):
            raise ValueError("GATEWAY_SMTP_TLS_CERT_FILE: goes together with GATEWAY_SMTP_TLS_KEY_FILE")
        if self.mailgun_webhook_login is not None and self.mailgun_signing_key is None:
            raise ValueError(
                "GATEWAY_MAILGUN_WEBHOOK_LOGIN: needs GATEWAY_MAILGUN_SIGNING_KEY, which proves the mail"
            )
        return self

    @property
    def sqlite_path(self) -> Path | None:
        """The file of the embedded database; None on PostgreSQL."""
        url = self.database_url.get_secret_value()
        return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


_VENDORS = ("twilio_", "telnyx_", "jambonz_")
_OTHER_NAMES = {"twilio_auth_tokens": "TWILIO_AUTH_TOKEN", "telnyx_public_keys": "TELNYX_PUBLIC_KEY"}


def name_of(field: str) -> str:
    """The name in the environment of a field of EnvironmentSettings."""
    name = field.upper()
    return _OTHER_NAMES.get(field, name if field.startswith(_VENDORS) else f"GATEWAY_{name}")


NAMES: dict[str, str] = {name_of(field): field for field in EnvironmentSettings.model_fields}
"""Field by name in the environment."""

SECRETS = frozenset(
    {
        "database_url",
        "amqp_url",
        "api_keys",
        "agent_secret",
        "attachments_secret_access_key",
        "twilio_auth_tokens",
        "telnyx_api_key",
        "smtp_relay_url",
        "mailgun_signing_key",
        "mailgun_webhook_login",
        "postmark_webhook_login",
        "jambonz_webhook_login",
        "jambonz_api_key",
    }
)
"""Fields whose value, or a part of it, must not be shown."""
