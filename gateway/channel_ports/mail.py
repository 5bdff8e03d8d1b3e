"""Mail: the servers it comes in by, who checks its sender, and what signs ours."""

import ssl
from concurrent.futures import Executor
from dataclasses import dataclass

from dns.resolver import NoResolverConfiguration

from channels.contract import MailPorts
from channels.email.auth.dns import CachedDns
from channels.email.auth.sender import BelieveAll, BelieveNobody, OwnCheck, SenderCheck, TrustedServer
from channels.email.gate import SessionLimits
from channels.email.ingress import MailIngress
from channels.email.intake import MailIntake
from channels.email.reader import MailReader
from channels.email.sign import DkimSigner
from channels.email.thread import ThreadMarks
from gateway.domain.clock import Clock
from gateway.settings import MailAuthMode, Settings, SettingsError


@dataclass(frozen=True, slots=True)
class MailWorkers:
    """What works on mail beside the event loop: processes that read it, threads that check its signatures."""

    reader: MailReader
    threads: Executor


def mail_intake(settings: Settings, ports: MailPorts, marks: ThreadMarks, beside: MailWorkers) -> MailIntake:
    """What every way in for mail hands it to."""
    return MailIntake(ports, marks, _sender_check(settings, ports.clock, beside.threads), beside.reader)


def _sender_check(settings: Settings, clock: Clock, threads: Executor) -> SenderCheck:
    match settings.mail_auth.mode:
        case MailAuthMode.OFF:
            return BelieveAll()
        case MailAuthMode.TRUST:
            return TrustedServer(settings.mail_auth.authserv_id or "")
        case MailAuthMode.VERIFY:
            # mail for `localhost` comes from this machine, of which no name server knows anything
            if settings.mail_domain == "localhost" and settings.dns_server is None:
                return BelieveNobody()
            server = settings.dns_server
            try:
                dns = CachedDns((server.host, server.port) if server else None)
            except (NoResolverConfiguration, ValueError):
                problem = "GATEWAY_DNS_SERVER: there is no name server to ask who sent a mail; name one"
                raise SettingsError([problem]) from None
            return OwnCheck(dns, clock, threads, settings.mail_arc_sealers)


def mail_server(settings: Settings, intake: MailIntake, *, lmtp: bool) -> MailIngress:
    """The SMTP server, or that of LMTP. Raises OSError where its certificate cannot be read."""
    limits = SessionLimits(proxies=settings.smtp_proxy_from, lmtp=lmtp)
    return MailIngress(intake, settings.mail_domain, limits=limits, tls=_tls(settings))


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.smtp_tls_cert_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.smtp_tls_cert_file, settings.smtp_tls_key_file)
    return context


def dkim_signer(settings: Settings) -> DkimSigner | None:
    """What signs our mail; None where no key is configured. Raises OSError, or SettingsError."""
    if settings.dkim_selector is None or settings.dkim_key_file is None:
        return None
    try:
        return DkimSigner.from_file(settings.mail_domain, settings.dkim_selector, settings.dkim_key_file)
    except ValueError as error:
        raise SettingsError([f"GATEWAY_DKIM_KEY_FILE: {error}"]) from None
