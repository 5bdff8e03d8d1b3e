"""Settings of a process and the configuration of what it serves, each read in one place and frozen.

`load_settings` reads environment and gateway.toml at the start, `load_config` gateway.toml again on SIGHUP.
"""

from gateway.domain.quiet import QuietHours
from gateway.domain.steps import PolicyAction
from gateway.settings.agents import (
    AgentConfig,
    AgentKind,
    DemoAgent,
    FlowAgent,
    HttpAgent,
    LlmAgent,
    PythonAgent,
)
from gateway.settings.attachments import AttachmentPlace, BucketPlace, FolderPlace
from gateway.settings.configuration import AddressConfig, ChannelConfig, GatewayConfig, organization_id_of
from gateway.settings.environment import (
    ApiKeySetting,
    KeyRole,
    LogLevel,
    MailAuth,
    MailAuthMode,
)
from gateway.settings.loading import Settings, load_config, load_settings
from gateway.settings.policies import OnReject, PolicyConfig
from gateway.settings.refusals import SettingsError
from gateway.settings.sources import Source
from gateway.settings.table import settings_table
from gateway.settings.tables import SmsProvider, VoiceMode, default_config_text
from gateway.settings.transfers import TransferConfig
from gateway.settings.values import HostPort

__all__ = [
    "AddressConfig",
    "AgentConfig",
    "AgentKind",
    "ApiKeySetting",
    "AttachmentPlace",
    "BucketPlace",
    "ChannelConfig",
    "DemoAgent",
    "FlowAgent",
    "FolderPlace",
    "GatewayConfig",
    "HostPort",
    "HttpAgent",
    "KeyRole",
    "LlmAgent",
    "LogLevel",
    "MailAuth",
    "MailAuthMode",
    "OnReject",
    "PolicyAction",
    "PolicyConfig",
    "PythonAgent",
    "QuietHours",
    "Settings",
    "SettingsError",
    "SmsProvider",
    "Source",
    "TransferConfig",
    "VoiceMode",
    "default_config_text",
    "load_config",
    "load_settings",
    "organization_id_of",
    "settings_table",
]
