"""The checks of `gateway doctor` on a mail domain: whether mail finds us, and whether ours is believed."""

import asyncio
from collections.abc import Coroutine

from dns.resolver import NoResolverConfiguration

from channels.email.auth.dns import CachedDns, NoAnswerNow
from channels.email.records import dkim_problem, dmarc_problem, mail_problem, spf_problem
from channels.email.sign import key_record, read_private_key
from gateway.commands.findings import SECONDS, Finding, Verdict
from gateway.settings import Settings

_ADVICE = "gateway mail setup prints the records to publish"


async def mail_findings(settings: Settings) -> list[Finding]:
    """A line for each record that the mail domain needs, and one for Mailgun where it receives for us."""
    return [*_mailgun(settings), *await _records(settings)]


def _mailgun(settings: Settings) -> list[Finding]:
    if settings.mailgun_signing_key is None:
        return []
    if settings.mailgun_webhook_login is None:
        text = "mails of more than 1 MiB are refused; see GATEWAY_MAILGUN_WEBHOOK_LOGIN in the README"
        return [Finding("Mailgun", Verdict.WARN, text)]
    return [Finding("Mailgun", Verdict.OK, "its mails may have files, where the route's URL has the login")]


async def _records(settings: Settings) -> list[Finding]:
    domain = settings.mail_domain
    if domain == "localhost":
        return [Finding("mail DNS", Verdict.SKIP, "GATEWAY_MAIL_DOMAIN is localhost")]
    server = settings.dns_server
    try:
        dns = CachedDns((server.host, server.port) if server else None, SECONDS)
    except (NoResolverConfiguration, ValueError):
        return [Finding("mail DNS", Verdict.FAIL, "there is no name server; see GATEWAY_DNS_SERVER")]
    return list(
        await asyncio.gather(
            _finding("mail MX", mail_problem(dns, domain), f"mail finds the way to {domain}"),
            _finding("mail SPF", spf_problem(dns, domain), f"{domain} says who sends for it"),
            _dkim(settings, dns),
            _finding("mail DMARC", dmarc_problem(dns, domain), f"{domain} has a policy"),
        )
    )


async def _dkim(settings: Settings, dns: CachedDns) -> Finding:
    selector, path = settings.dkim_selector, settings.dkim_key_file
    if selector is None or path is None:
        text = "GATEWAY_DKIM_SELECTOR is unset: our mail is not signed; gateway mail setup makes a key"
        return Finding("mail DKIM", Verdict.SKIP, text)
    try:
        key = key_record(read_private_key(path))
    except (OSError, ValueError) as error:
        return Finding("mail DKIM", Verdict.FAIL, f"{error}; see GATEWAY_DKIM_KEY_FILE")
    return await _finding(
        "mail DKIM", dkim_problem(dns, settings.mail_domain, selector, key), "our key is published"
    )


async def _finding(subject: str, question: Coroutine[None, None, str | None], well: str) -> Finding:
    try:
        problem = await question
    except NoAnswerNow as error:
        text = f"the DNS does not answer ({error}); see GATEWAY_DNS_SERVER"
        return Finding(subject, Verdict.FAIL, text)
    if problem is not None:
        return Finding(subject, Verdict.FAIL, f"{problem}; {_ADVICE}")
    return Finding(subject, Verdict.OK, well)
