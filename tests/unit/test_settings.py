"""Settings of the process: precedence, files, refusals word for word, masks, service links."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from gateway.settings import (
    ApiKeySetting,
    FolderPlace,
    HostPort,
    KeyRole,
    MailAuth,
    MailAuthMode,
    Settings,
    SettingsError,
    load_settings,
    settings_table,
)
from gateway.settings.environment import NAMES, SECRETS, EnvironmentSettings

NOTHING: Mapping[str, object] = MappingProxyType({})


def load(
    environ: Mapping[str, str],
    toml: Path | None = None,
    overrides: Mapping[str, object] = NOTHING,
) -> Settings:
    return load_settings(
        environ, config_path=toml, data_dir=Path("data"), host="127.0.0.1", port=8080, overrides=overrides
    )


def refusal(environ: Mapping[str, str], toml: Path | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load(environ, toml)
    return str(caught.value)


def written(folder: Path, text: str) -> Path:
    path = folder / "gateway.toml"
    path.write_text(text, "utf-8")
    return path


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = load({})
    assert settings.database_url.get_secret_value() == "sqlite:///data/gateway.db"
    assert settings.sqlite_path == Path("data/gateway.db")
    assert settings.embedded
    assert settings.partitions == 16
    assert settings.public_url == "http://127.0.0.1:8080"
    assert settings.api_keys == ()
    assert (settings.turn_timeout_seconds, settings.drain_seconds) == (60, 25)
    assert settings.amqp_prefix == "gateway."
    assert settings.twilio_api_url == "https://api.twilio.com"
    assert (settings.smtp_host, settings.smtp_port) == ("127.0.0.1", 8025)
    assert settings.mail_domain == "localhost"
    assert settings.mail_auth == MailAuth(MailAuthMode.VERIFY)
    unset = (
        settings.amqp_url,
        settings.agent_secret,
        settings.log_format,
        settings.otel_endpoint,
        settings.spool_dir,
        settings.twilio_account_sid,
        settings.smtp_relay_url,
        settings.dkim_selector,
        settings.dkim_key_file,
        settings.dns_server,
    )
    assert unset == (None,) * 10
    assert settings.twilio_auth_tokens == ()
    assert settings.webhook_allow_private is False
    assert settings.warnings == ()


def test_every_name_of_the_contract_is_read() -> None:
    environ = {
        "GATEWAY_DATABASE_URL": "postgres://user:pw@db/gateway",
        "GATEWAY_AMQP_URL": "amqp://guest:guest@mq:5672/vhost",
        "GATEWAY_PARTITIONS": "8",
        "GATEWAY_PUBLIC_URL": "https://gw.example.org/",
        "GATEWAY_API_KEYS": "k1:client, k2:admin:Acme:ops,",
        "GATEWAY_TURN_TIMEOUT_SECONDS": "7.5",
        "GATEWAY_DRAIN_SECONDS": "3",
        "GATEWAY_AMQP_PREFIX": "gw-2.",
        "GATEWAY_AGENT_SECRET": "whsec_x",
        "GATEWAY_LOG_FORMAT": "json",
        "GATEWAY_LOG_LEVEL": "debug",
        "GATEWAY_LOG_BODIES": "1",
        "GATEWAY_OTEL_ENDPOINT": "http://collector:4318",
        "GATEWAY_WEBHOOK_ALLOW_PRIVATE": "1",
        "GATEWAY_SPOOL_DIR": "/var/spool/gateway",
        "GATEWAY_CRASH_AT": "turn.committed",
        "GATEWAY_ATTACHMENTS_URL": "file:///srv/my%20attachments/",
        "GATEWAY_ATTACHMENTS_ACCESS_KEY_ID": "AKIA1",
        "GATEWAY_ATTACHMENTS_SECRET_ACCESS_KEY": "x/y+z",
        "GATEWAY_ATTACHMENT_MAX_BYTES": "1000",
        "GATEWAY_API_URL": "https://api.example.org/",
        "TWILIO_ACCOUNT_SID": "AC1",
        "TWILIO_AUTH_TOKEN": "new, old",
        "TWILIO_API_URL": "http://127.0.0.1:9001",
        "TELNYX_API_KEY": "KEY1",
        "TELNYX_PUBLIC_KEY": f"{'A' * 43}=, {'B' * 43}=",
        "TELNYX_API_URL": "http://127.0.0.1:9002",
        "TELNYX_MEDIA_DOMAINS": "media.telnyx.com, Files.example",
        "GATEWAY_SMTP_HOST": "0.0.0.0",
        "GATEWAY_SMTP_PORT": "25",
        "GATEWAY_MAIL_DOMAIN": "Bücher.Example",
        "GATEWAY_SMTP_RELAY_URL": "smtp+starttls://me:pw@relay:587",
        "GATEWAY_DKIM_SELECTOR": "s1",
        "GATEWAY_DKIM_KEY_FILE": "/run/dkim.pem",
        "GATEWAY_MAIL_AUTH": "trust:mx.example.org",
        "GATEWAY_DNS_SERVER": "[::1]:53",
        "GATEWAY_MAIL_ARC_SEALERS": "Lists.Example.org, bücher.example",
        "GATEWAY_SMTP_TLS_CERT_FILE": "/run/tls.pem",
        "GATEWAY_SMTP_TLS_KEY_FILE": "/run/tls.key",
        "GATEWAY_SMTP_PROXY_FROM": "10.0.0.0/8, ::1",
        "GATEWAY_MAILGUN_SIGNING_KEY": "key-x",
        "GATEWAY_MAILGUN_WEBHOOK_LOGIN": "mailgun:pw",
        "GATEWAY_POSTMARK_WEBHOOK_LOGIN": "postmark:pw",
        "GATEWAY_SES_TOPIC_ARNS": "arn:aws:sns:eu-west-1:1:mail",
        "JAMBONZ_WEBHOOK_LOGIN": "jambonz:pw:with colon",
        "JAMBONZ_API_URL": "http://127.0.0.1:9003",
        "JAMBONZ_API_KEY": "jk",
        "JAMBONZ_ACCOUNT_SID": "account",
        "JAMBONZ_APPLICATION_SID": "application",
    }
    assert set(environ) == set(NAMES)
    settings = load(environ)
    assert settings.database_url.get_secret_value() == "postgresql://user:pw@db/gateway"
    assert settings.sqlite_path is None
    assert not settings.embedded
    assert settings.public_url == "https://gw.example.org"
    assert settings.api_keys == (
        ApiKeySetting(SecretStr("k1"), KeyRole.CLIENT, "Example", ""),
        ApiKeySetting(SecretStr("k2"), KeyRole.ADMIN, "Acme", "ops"),
    )
    assert settings.turn_timeout_seconds == 7.5
    assert [token.get_secret_value() for token in settings.twilio_auth_tokens] == ["new", "old"]
    assert settings.telnyx_public_keys == ("A" * 43 + "=", "B" * 43 + "=")
    assert settings.jambonz_webhook_login == SecretStr("jambonz:pw:with colon")
    assert settings.telnyx_media_domains == ("media.telnyx.com", "files.example")
    assert settings.mail_domain == "xn--bcher-kva.example"
    assert settings.mail_auth == MailAuth(MailAuthMode.TRUST, "mx.example.org")
    assert settings.dns_server == HostPort("::1", 53)
    assert settings.mail_arc_sealers == ("lists.example.org", "xn--bcher-kva.example")
    assert [str(network) for network in settings.smtp_proxy_from] == ["10.0.0.0/8", "::1/128"]
    assert settings.ses_topic_arns == ("arn:aws:sns:eu-west-1:1:mail",)
    assert settings.dkim_key_file == Path("/run/dkim.pem")
    assert settings.attachments_url == FolderPlace(Path("/srv/my attachments"))
    secret = settings.attachments_secret_access_key
    assert (settings.attachments_access_key_id, secret and secret.get_secret_value()) == ("AKIA1", "x/y+z")
    assert (settings.attachment_max_bytes, settings.api_url) == (1000, "https://api.example.org")
    assert {row[2] for row in settings_table(settings)} == {"environment"}


def test_command_line_then_environment_then_file_then_default(tmp_path: Path) -> None:
    toml = written(
        tmp_path,
        '[gateway]\npartitions = 4\nsmtp_port = 2525\ndrain_seconds = 9\n[twilio]\nauth_token = "file"\n',
    )
    environ = {"GATEWAY_PARTITIONS": "5", "GATEWAY_SMTP_PORT": "26", "GATEWAY_DRAIN_SECONDS": " "}
    settings = load(environ, toml, {"smtp_port": 2526, "mail_domain": None})
    assert (settings.smtp_port, settings.partitions, settings.drain_seconds) == (2526, 5, 9)
    assert settings.twilio_auth_tokens == (SecretStr("file"),)
    sources = {name: source for name, _, source in settings_table(settings)}
    assert sources["GATEWAY_SMTP_PORT"] == "command line"
    assert sources["GATEWAY_PARTITIONS"] == "environment"
    assert sources["GATEWAY_DRAIN_SECONDS"] == "gateway.toml"
    assert sources["TWILIO_AUTH_TOKEN"] == "gateway.toml"
    assert sources["GATEWAY_MAIL_DOMAIN"] == "default"


def test_an_api_key_without_organisation_belongs_to_that_of_the_file(tmp_path: Path) -> None:
    toml = written(tmp_path, '[organisation]\nname = "Acme"\n')
    assert load({"GATEWAY_API_KEYS": "k:operator"}, toml).api_keys[0].organisation == "Acme"


def test_a_value_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("one,two\r\n", "utf-8")
    number = tmp_path / "number"
    number.write_text("3\n", "utf-8")
    settings = load({"TWILIO_AUTH_TOKEN_FILE": str(secret), "GATEWAY_PARTITIONS_FILE": str(number)})
    assert [token.get_secret_value() for token in settings.twilio_auth_tokens] == ["one", "two"]
    assert settings.partitions == 3
    toml = written(tmp_path, f"[twilio]\nauth_token_file = '{secret}'\n")
    assert len(load({}, toml).twilio_auth_tokens) == 2


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert refusal({"GATEWAY_AGENT_SECRET_FILE": str(missing)}) == (
        "GATEWAY_AGENT_SECRET_FILE: the file cannot be read: No such file or directory"
    )
    large = tmp_path / "large"
    large.write_bytes(b"x" * 65_537)
    assert refusal({"GATEWAY_AGENT_SECRET_FILE": str(large)}) == (
        "GATEWAY_AGENT_SECRET_FILE: the file cannot be read: larger than 65536 bytes"
    )
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    assert refusal({"GATEWAY_AGENT_SECRET_FILE": str(binary)}) == (
        "GATEWAY_AGENT_SECRET_FILE: the file cannot be read: not UTF-8"
    )


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        (
            {"GATEWAY_DATABASE_URI": "x"},
            "GATEWAY_DATABASE_URI: unknown setting; nearest valid name: GATEWAY_DATABASE_URL",
        ),
        (
            {"GATEWAY_API_KEY_FILE": "x"},
            "GATEWAY_API_KEY_FILE: unknown setting; nearest valid name: GATEWAY_API_KEYS_FILE",
        ),
        (
            {"TWILIO_AUTHTOKEN": "x"},
            "TWILIO_AUTHTOKEN: unknown setting; nearest valid name: TWILIO_AUTH_TOKEN",
        ),
        ({"GATEWAY_PARTITIONS": "many"}, "GATEWAY_PARTITIONS: must be a whole number, not 'many'"),
        ({"GATEWAY_PARTITIONS": "0"}, "GATEWAY_PARTITIONS: must be at least 1, not '0'"),
        ({"GATEWAY_SMTP_PORT": "65536"}, "GATEWAY_SMTP_PORT: must be at most 65535, not '65536'"),
        ({"GATEWAY_DRAIN_SECONDS": "nan"}, "GATEWAY_DRAIN_SECONDS: must be a number, not 'nan'"),
        ({"GATEWAY_DRAIN_SECONDS": "0"}, "GATEWAY_DRAIN_SECONDS: must be more than 0, not '0'"),
        ({"GATEWAY_LOG_FORMAT": "xml"}, "GATEWAY_LOG_FORMAT: must be 'text' or 'json', not 'xml'"),
        (
            {"GATEWAY_WEBHOOK_ALLOW_PRIVATE": "maybe"},
            "GATEWAY_WEBHOOK_ALLOW_PRIVATE: must be true or false, not 'maybe'",
        ),
        (
            {"GATEWAY_PUBLIC_URL": "gw.example.org"},
            "GATEWAY_PUBLIC_URL: must be a URL like https://example.org, not 'gw.example.org'",
        ),
        (
            {"GATEWAY_DATABASE_URL": "mysql://user:hunter2@db/x"},
            "GATEWAY_DATABASE_URL: must be sqlite:///<path> or postgresql://user:password@host/database",
        ),
        (
            {"GATEWAY_DATABASE_URL": "sqlite:///:memory:"},
            "GATEWAY_DATABASE_URL: must name a file for SQLite, like sqlite:///data/gateway.db",
        ),
        (
            {"GATEWAY_AMQP_URL": "redis://user:hunter2@mq"},
            "GATEWAY_AMQP_URL: must be a URL with a host, beginning with amqp:// or amqps://",
        ),
        (
            {"GATEWAY_AMQP_URL": "amqp://mq"},
            "GATEWAY_AMQP_URL: a broker needs a database that processes share; "
            "set GATEWAY_DATABASE_URL to postgresql://… or leave GATEWAY_AMQP_URL out",
        ),
        (
            {"GATEWAY_API_KEYS": "hunter2:boss"},
            "GATEWAY_API_KEYS: the role of entry 1 must be one of admin, client, operator",
        ),
        ({"GATEWAY_API_KEYS": "a:client,a:admin"}, "GATEWAY_API_KEYS: the key of entry 2 is there twice"),
        (
            {"GATEWAY_API_KEYS": "a:client:b:c:d"},
            "GATEWAY_API_KEYS: entry 1 must be key:role[:organisation[:name]]",
        ),
        (
            {"GATEWAY_API_KEYS": "a:client", "GATEWAY_API_KEYS_FILE": "/dev/null"},
            "GATEWAY_API_KEYS: set together with GATEWAY_API_KEYS_FILE; leave one out",
        ),
        ({"TWILIO_AUTH_TOKEN": " , "}, "TWILIO_AUTH_TOKEN: must be one or more tokens, comma-separated"),
        (
            {"GATEWAY_MAIL_AUTH": "trust"},
            "GATEWAY_MAIL_AUTH: must be verify, trust:<authserv-id> or off, not 'trust'",
        ),
        (
            {"GATEWAY_MAIL_DOMAIN": "no domain"},
            "GATEWAY_MAIL_DOMAIN: must be a domain name like example.org, not 'no domain'",
        ),
        ({"GATEWAY_DNS_SERVER": "1.1.1.1"}, "GATEWAY_DNS_SERVER: must be host:port, not '1.1.1.1'"),
        (
            {"GATEWAY_DKIM_SELECTOR": "s1"},
            "GATEWAY_DKIM_SELECTOR: goes together with GATEWAY_DKIM_KEY_FILE",
        ),
        (
            {"GATEWAY_MAILGUN_WEBHOOK_LOGIN": "me:pw"},
            "GATEWAY_MAILGUN_WEBHOOK_LOGIN: needs GATEWAY_MAILGUN_SIGNING_KEY, which proves the mail",
        ),
        (
            {"JAMBONZ_API_KEY": "jk", "JAMBONZ_ACCOUNT_SID": "account"},
            "JAMBONZ_API_KEY: goes together with JAMBONZ_ACCOUNT_SID and JAMBONZ_APPLICATION_SID",
        ),
        (
            {"GATEWAY_AMQP_PREFIX": "a b"},
            "GATEWAY_AMQP_PREFIX: must have only letters, digits and ._-, not 'a b'",
        ),
        (
            {"GATEWAY_SMTP_HOST": "a b"},
            "GATEWAY_SMTP_HOST: must be a host name or an IP address, not 'a b'",
        ),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_do(environ: dict[str, str], line: str) -> None:
    assert refusal(environ) == line


def test_all_problems_are_told_at_once() -> None:
    assert refusal({"GATEWAY_PARTITION": "1", "GATEWAY_SMTP_PORT": "x", "GATEWAY_OTEL_ENDPOINT": "y"}) == (
        "GATEWAY_PARTITION: unknown setting; nearest valid name: GATEWAY_PARTITIONS\n"
        "GATEWAY_OTEL_ENDPOINT: must be a URL like https://example.org, not 'y'\n"
        "GATEWAY_SMTP_PORT: must be a whole number, not 'x'"
    )


def test_other_unknown_names_warn() -> None:
    settings = load({"GATEWAY_SHOESIZE": "44", "TWILIO_PHONE_NUMBER": "+15550100", "PATH": "/bin"})
    assert settings.warnings == ("GATEWAY_SHOESIZE: unknown setting, ignored",)


def test_kubernetes_service_links_are_ignored() -> None:
    links = {
        "GATEWAY_SERVICE_HOST": "10.0.0.1",
        "GATEWAY_SERVICE_PORT": "8080",
        "GATEWAY_SERVICE_PORT_HTTP": "8080",
        "GATEWAY_PORT": "tcp://10.0.0.1:8080",
        "GATEWAY_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "GATEWAY_PORT_8080_TCP_ADDR": "10.0.0.1",
        "GATEWAY_PORT_8080_TCP_PORT": "8080",
        "GATEWAY_PORT_8080_TCP_PROTO": "tcp",
        "GATEWAY_SMTP_SERVICE_HOST": "10.0.0.2",
        "GATEWAY_SMTP_PORT": "tcp://10.0.0.2:25",
        "GATEWAY_SMTP_PORT_25_TCP": "tcp://10.0.0.2:25",
    }
    settings = load(links)
    assert settings.warnings == ()
    assert settings.smtp_port == 8025


def test_secrets_are_masked_wherever_settings_are_shown() -> None:
    settings = load(
        {
            "GATEWAY_DATABASE_URL": "postgresql://user:hunter2@db/x?sslpassword=hunter2&a=1",
            "GATEWAY_AMQP_URL": "amqp://user:hunter2@mq",
            "GATEWAY_SMTP_RELAY_URL": "smtps://user:hunter2%40@relay",
            "GATEWAY_API_KEYS": "hunter2:admin::ops",
            "GATEWAY_AGENT_SECRET": "hunter2",
            "TWILIO_AUTH_TOKEN": "hunter2,hunter22",
        }
    )
    shown = {name: value for name, value, _ in settings_table(settings)}
    assert "hunter2" not in repr(settings) + str(settings) + str(shown)
    assert shown["GATEWAY_DATABASE_URL"] == "postgresql://user:***@db/x?sslpassword=***&a=1"
    assert shown["GATEWAY_SMTP_RELAY_URL"] == "smtps://user:***@relay"
    assert shown["GATEWAY_API_KEYS"] == "***:admin:Example:ops"
    assert shown["GATEWAY_AGENT_SECRET"] == "***"
    assert shown["TWILIO_AUTH_TOKEN"] == "***, ***"
    assert shown["GATEWAY_MAIL_AUTH"] == "verify"
    assert shown["GATEWAY_SPOOL_DIR"] == "unset"
    assert shown["GATEWAY_LOG_BODIES"] == "0"


def test_every_field_with_a_secret_is_known_as_one() -> None:
    holding = {
        name
        for name, field in EnvironmentSettings.model_fields.items()
        if "SecretStr" in repr(field.annotation) or "ApiKeySetting" in repr(field.annotation)
    }
    assert holding == SECRETS


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        load({}).partitions = 2  # type: ignore[misc]


ANY_NAME = st.one_of(
    st.sampled_from(sorted(NAMES)),
    st.sampled_from(sorted(NAMES)).map(lambda name: f"{name}_FILE"),
    st.text(max_size=20).map(lambda text: f"GATEWAY_{text}"),
)
ANY_VALUE = st.one_of(
    st.text(max_size=60),
    st.from_regex(r"[a-z+]{2,8}://[^/]*/.*", fullmatch=True),
    st.from_regex(r"[a-z:,\[\]0-9.]*", fullmatch=True),
)


@given(st.dictionaries(ANY_NAME, ANY_VALUE, max_size=6))
def test_any_environment_is_read_or_refused_in_lines(environ: dict[str, str]) -> None:
    try:
        settings_table(load(environ))
    except SettingsError as error:
        refused = error.problems
    else:
        return
    assert refused
    assert all(len(line.splitlines()) == 1 for line in refused)
