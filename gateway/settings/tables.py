"""gateway.toml: reading the file and the shape of its tables."""

import tomllib
from datetime import timedelta
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from gateway.domain.fallback import HandoffTimeoutAction
from gateway.domain.message import Channel
from gateway.domain.pace import MOST
from gateway.domain.send_rules import RECONCILE_AFTER, OnUnknown
from gateway.settings.addresses import parse_address
from gateway.settings.belonging import (
    done_by_its_host,
    not_called,
    not_mailed,
    not_texted,
    not_written,
    spoken_by_its_host,
)
from gateway.settings.call_table import CallTable, Said
from gateway.settings.refusals import SettingsError, Table, read_table
from gateway.settings.values import Duration, Number, Origin, Price, Quiet

MAX_FILE_BYTES = 1_048_576
MAX_AGENTS = 1000
MAX_ADDRESSES = 10_000
MAX_ORIGINS = 100
MAX_FAILOVER = 5
MOST_A_DAY = 1_000_000_000
DEFAULT_MAIL_DOMAIN = "localhost"

_SOONEST, _LATEST = timedelta(seconds=RECONCILE_AFTER), timedelta(minutes=10)


def _resend_after(value: timedelta) -> timedelta:
    """Raise ValueError before an attempt can have ended, or so late that nobody expects the message."""
    if not _SOONEST <= value <= _LATEST:
        raise ValueError(f"must be between {RECONCILE_AFTER} s and 10 minutes")
    return value


def _validity(value: timedelta) -> timedelta:
    """Raise ValueError for what Twilio does not take (Message resource, ValidityPeriod)."""
    if not timedelta(seconds=10) <= value <= timedelta(hours=10):
        raise ValueError("must be between 10 s and 10 hours")
    return value


def _one_line(value: str) -> str:
    """Raise ValueError for what cannot stand in a header."""
    if not value.isprintable() or not value.strip():
        raise ValueError("must be text on one line")
    return value.strip()


T = TypeVar("T")


class VoiceMode(StrEnum):
    """How the calls of an address are carried."""

    RELAY = "relay"
    """ConversationRelay, over a WebSocket."""
    WEBHOOK = "webhook"
    """TwiML, a request a step."""
    HOST = "host"
    """A voice host over the queue contract."""
    JAMBONZ = "jambonz"
    """jambonz, over its WebSocket."""


class SmsProvider(StrEnum):
    """Who carries the texts of a number."""

    TWILIO = "twilio"
    TELNYX = "telnyx"


class ChannelTable(CallTable):
    """`[channels.<channel>]`; the same keys may be repeated on one address."""

    idle_ttl: Duration | None = None
    retention: Duration | None = None
    coalesce_seconds: Annotated[float, Number, Field(ge=0, le=300)] | None = None
    quiet_hours: Quiet | None = None
    max_parts: Annotated[int, Number, Field(ge=1, le=100)] | None = None
    number_parts: bool | None = None
    segments_per_second: Annotated[float, Number, Field(ge=0.01, le=10_000)] | None = None
    segment_price: Price | None = None
    cancel_unsent: bool | None = None
    on_unknown: OnUnknown | None = None
    on_unknown_first: OnUnknown | None = None
    resend_after: Annotated[Duration, AfterValidator(_resend_after)] | None = None
    validity: Annotated[Duration, AfterValidator(_validity)] | None = None
    messages_per_hour: Annotated[int, Number, Field(ge=0, le=MOST)] | None = None
    answers_per_hour: Annotated[int, Number, Field(ge=0, le=MOST)] | None = None
    domain_messages_per_hour: Annotated[int, Number, Field(ge=0, le=1_000_000)] | None = None
    from_name: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_one_line)] | None = None
    provider_handles_optout: bool | None = None
    stop_text: Said | None = None
    start_text: Said | None = None
    help_text: Said | None = None
    failure_text: Said | None = None
    handoff_timeout: Duration | None = None
    handoff_timeout_action: HandoffTimeoutAction | None = None
    handoff_timeout_text: Said | None = None


class WebTable(Table):
    """`[channels.web]`; its other values are those of api."""

    origins: Annotated[tuple[Origin, ...], Field(max_length=MAX_ORIGINS)] = ()
    """The sites whose pages may ask this gateway, exactly."""


class ChannelsTable(Table):
    """`[channels]`."""

    api: ChannelTable = ChannelTable()
    sms: ChannelTable = ChannelTable()
    email: ChannelTable = ChannelTable()
    voice: ChannelTable = ChannelTable()
    web: WebTable = WebTable()

    @field_validator("api", "email", "voice")
    @classmethod
    def _not_texted(cls, value: ChannelTable) -> ChannelTable:
        not_texted(value)
        return value

    @field_validator("api", "sms", "voice")
    @classmethod
    def _no_mail(cls, value: ChannelTable) -> ChannelTable:
        not_mailed(value)
        return value

    @field_validator("api", "sms", "email")
    @classmethod
    def _not_spoken(cls, value: ChannelTable) -> ChannelTable:
        not_called(value)
        return value

    @field_validator("voice")
    @classmethod
    def _spoken(cls, value: ChannelTable) -> ChannelTable:
        not_written(value)
        return value


class AddressTable(ChannelTable):
    """One `[[addresses]]`."""

    channel: Literal["sms", "email", "voice"]
    address: str
    agent: str | None = None
    voice_mode: VoiceMode | None = None
    provider: SmsProvider | None = None
    """Of SMS addresses only; the one whose credentials are there, else Twilio."""
    failover: Annotated[tuple[str, ...], Field(max_length=MAX_FAILOVER)] = ()
    """Of SMS addresses only: others of ours that send, one after the other, where this one cannot."""

    @field_validator("address", mode="before")
    @classmethod
    def _one_spelling(cls, value: object, info: ValidationInfo) -> object:
        channel = info.data.get("channel")
        return parse_address(Channel(channel), value) if channel else value

    @field_validator("voice_mode")
    @classmethod
    def _voice_only(cls, value: VoiceMode | None, info: ValidationInfo) -> VoiceMode | None:
        if value is not None and info.data.get("channel") in ("sms", "email"):
            raise ValueError("belongs to voice addresses only")
        return value

    @field_validator("provider", "failover")
    @classmethod
    def _texts_only(cls, value: T, info: ValidationInfo) -> T:
        if value and info.data.get("channel") in ("voice", "email"):
            raise ValueError("belongs to sms addresses only")
        return value

    @field_validator("failover")
    @classmethod
    def _of_ours(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(parse_address(Channel.SMS, address) for address in value)

    @model_validator(mode="after")
    def _spoken(self) -> Self:
        if self.channel != "sms":
            not_texted(self)
        if self.channel != "email":
            not_mailed(self)
        if self.channel == "voice":
            not_written(self)
        else:
            not_called(self)
        if self.voice_mode is VoiceMode.JAMBONZ:
            spoken_by_its_host(self)
        elif self.voice_mode is VoiceMode.HOST:
            done_by_its_host(self)
        return self


class OrganisationTable(Table):
    """`[organisation]`."""

    name: Annotated[str, Field(min_length=1, max_length=200)] = "Example"
    default_agent: str | None = None
    rate_limit: Annotated[int, Number, Field(ge=1, le=1_000_000)] = 100
    """Requests a second that a key may make, in each process."""
    rate_burst: Annotated[int, Number, Field(ge=1, le=1_000_000)] = 200
    """Requests that a key which was quiet may make at once."""
    messages_per_day: Annotated[int, Number, Field(ge=1, le=MOST_A_DAY)] | None = None
    """Texts (each part of a long one) and mails that may leave on a day (UTC)."""
    spend_per_day: Annotated[float, Number, Field(gt=0, le=MOST_A_DAY)] | None = None
    """What agents and texts may cost on a day, in the currency that the prices are in."""


class ConfigTables(Table):
    """gateway.toml as a whole; settings (`gateway`, `twilio`, `telnyx`) and agents are checked elsewhere."""

    organisation: OrganisationTable = OrganisationTable()
    addresses: Annotated[tuple[AddressTable, ...], Field(max_length=MAX_ADDRESSES)] = ()
    agents: dict[str, Any] = Field({}, max_length=MAX_AGENTS)
    channels: ChannelsTable = ChannelsTable()
    gateway: dict[str, Any] = Field({})
    twilio: dict[str, Any] = Field({})
    telnyx: dict[str, Any] = Field({})

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """The tables that hold settings, by their name."""
        return {"gateway": self.gateway, "twilio": self.twilio, "telnyx": self.telnyx}


def read_tables(path: Path | None, mail_domain: str = DEFAULT_MAIL_DOMAIN) -> ConfigTables:
    """The tables of a gateway.toml, or of the built-in configuration for a mail domain where there is none.

    Raises SettingsError when the file cannot be read, is not TOML or has unknown keys or bad values.
    """
    if path is None:
        return _parsed(default_config_text(mail_domain), "the built-in configuration")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a path"
        raise SettingsError([f"{path}: cannot be read: {reason}"]) from None
    if len(content) > MAX_FILE_BYTES:
        raise SettingsError([f"{path}: larger than {MAX_FILE_BYTES} bytes"])
    try:
        return _parsed(content.decode(), str(path))
    except UnicodeDecodeError:
        raise SettingsError([f"{path}: not UTF-8"]) from None


def default_config_text(mail_domain: str = DEFAULT_MAIL_DOMAIN) -> str:
    """The built-in configuration as text to copy, with its mailbox at a mail domain."""
    text = resources.files("gateway").joinpath("default.toml").read_text("utf-8")
    return text.replace(f"@{DEFAULT_MAIL_DOMAIN}", f"@{mail_domain}")


def _parsed(text: str, name: str) -> ConfigTables:
    problems: list[str] = []
    try:
        tables = read_table(ConfigTables, tomllib.loads(text), "", problems)
    except RecursionError:
        raise SettingsError([f"{name}: nested too deeply"]) from None
    except ValueError as error:
        raise SettingsError([f"{name}: not TOML: {error}"]) from None
    if tables is None:
        raise SettingsError(f"{name}: {problem}" for problem in problems)
    return tables
