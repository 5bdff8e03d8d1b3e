"""The settings of mail coming in that are not everybody's: its doors, and whom to believe."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, SecretStr

from gateway.settings.refusals import Table
from gateway.settings.values import parse_domain

Network = IPv4Network | IPv6Network


def _entries(value: object) -> list[str]:
    return list(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else []


def parse_domains(value: object) -> tuple[str, ...]:
    """Domain names, comma-separated."""
    domains = tuple(map(parse_domain, _entries(value)))
    if not domains:
        raise ValueError("must be one or more domain names, comma-separated")
    return domains


def parse_networks(value: object) -> tuple[Network, ...]:
    """IP addresses and networks, comma-separated."""
    try:
        networks = tuple(ip_network(entry) for entry in _entries(value))
    except ValueError:
        networks = ()
    if not networks:
        raise ValueError("must be IP addresses or networks like 10.0.0.0/8, comma-separated")
    return networks


def parse_login(value: object) -> SecretStr:
    """`user:password`."""
    user, colon, password = value.strip().partition(":") if isinstance(value, str) else ("", "", "")
    if not user or not colon or not password:
        raise ValueError("must be user:password")
    return SecretStr(f"{user}:{password}")


def parse_topics(value: object) -> tuple[str, ...]:
    """ARNs of SNS topics, comma-separated."""
    topics = tuple(_entries(value))
    if not topics or not all(topic.startswith("arn:") and topic.count(":") == 5 for topic in topics):
        raise ValueError("must be ARNs of SNS topics, comma-separated")
    return topics


class MailDoors(Table):
    """How mail comes in beside plain SMTP, and what is believed about it."""

    mail_arc_sealers: Annotated[tuple[str, ...], BeforeValidator(parse_domains)] = ()
    """Forwarders whose word about a mail they changed counts (RFC 8617)."""
    smtp_tls_cert_file: Path | None = None
    """A certificate chain in PEM: STARTTLS is offered."""
    smtp_tls_key_file: Path | None = None
    smtp_proxy_from: Annotated[tuple[Network, ...], BeforeValidator(parse_networks)] = ()
    """Peers that begin each connection with the PROXY protocol."""
    mailgun_signing_key: SecretStr | None = None
    mailgun_webhook_login: Annotated[SecretStr, BeforeValidator(parse_login)] | None = None
    """In the URL that its routes forward to; with it, a mail may be larger than any request."""
    postmark_webhook_login: Annotated[SecretStr, BeforeValidator(parse_login)] | None = None
    ses_topic_arns: Annotated[tuple[str, ...], BeforeValidator(parse_topics)] = ()
