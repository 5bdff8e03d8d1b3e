"""The checks of `gateway doctor`: each looks at one thing for at most some seconds and says what to do."""

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable, Mapping

from gateway.commands.agent_checks import agent_findings
from gateway.commands.findings import SECONDS, Finding, Verdict
from gateway.commands.mail_checks import mail_findings
from gateway.commands.mcp_checks import mcp_findings
from gateway.commands.options import opened
from gateway.commands.telnyx_checks import check_telnyx
from gateway.commands.terminal import Refusal
from gateway.commands.voice_checks import check_jambonz
from gateway.domain.brake import Pause
from gateway.domain.clock import rfc3339
from gateway.domain.errors import Unavailable
from gateway.domain.message import Channel
from gateway.domain.usage import MILLION
from gateway.service.brake import pauses_of
from gateway.service.senders import HaltedSender, halted_senders
from gateway.service.usage import today
from gateway.settings import Settings
from gateway.store.migrate import UnknownSchema, verified
from gateway.store.spool import spooled

_MOST_TOLD = 5
"""Pauses in one line."""

Check = Callable[[Settings], Awaitable[Finding]]


def config_findings(settings: Settings) -> list[Finding]:
    """What was read, and a line for each oddity."""
    config = settings.config
    place = settings.config_path or "built in (no gateway.toml here)"
    text = f"{place}; addresses: {len(config.addresses)}, agents: {len(config.agents)}"
    oddities = [Finding("settings", Verdict.WARN, warning) for warning in settings.warnings]
    return [Finding("config", Verdict.OK, text), *oddities]


async def check_database(settings: Settings) -> Finding:
    """Whether the database answers and its schema is this version's."""
    path = settings.sqlite_path
    name = f"SQLite file {path}" if path is not None else "PostgreSQL"
    if path is not None and not path.exists():
        text = f"{name} is not there yet; gateway dev makes it, or gateway migrate"
        return Finding("database", Verdict.SKIP, text)
    try:
        missing = await verified(settings.database_url.get_secret_value())
    except (Unavailable, UnknownSchema, sqlite3.Error, OSError) as error:
        return Finding("database", Verdict.FAIL, f"{name}: {error}; see GATEWAY_DATABASE_URL")
    if missing:
        text = f"{name} answers, but its schema lacks {', '.join(missing)}; run: gateway migrate"
        return Finding("database", Verdict.FAIL, text)
    return Finding("database", Verdict.OK, f"{name} answers, its schema is up to date")


async def check_pauses(settings: Settings) -> Finding:
    """Whether somebody has stopped an agent, or everything."""
    organization_id = settings.config.organization_id
    try:
        async with opened(settings) as store:
            pauses = await store.read(pauses_of, organization_id)
    except (Refusal, Unavailable, UnknownSchema, sqlite3.Error, OSError):
        return Finding("pauses", Verdict.SKIP, "the database cannot be asked")
    if not pauses:
        return Finding("pauses", Verdict.OK, "nothing is paused")
    slugs = {agent.id: slug for slug, agent in settings.config.agents.items()}
    told = [_paused(pause, slugs, organization_id) for pause in pauses[:_MOST_TOLD]]
    more = f"; {len(pauses) - len(told)} more" if len(pauses) > len(told) else ""
    return Finding("pauses", Verdict.WARN, "; ".join(told) + more)


def _paused(pause: Pause, slugs: Mapping[str, str], organization_id: str) -> str:
    whole = pause.subject_id == organization_id
    name = "everything" if whole else f"agent {slugs.get(pause.subject_id, pause.subject_id)}"
    command = "gateway resume" if whole else f"gateway resume {slugs.get(pause.subject_id, '')}".rstrip()
    return f"{name} is paused since {rfc3339(pause.set_at)[:19]}Z by {pause.set_by}; to go on: {command}"


async def check_caps(settings: Settings) -> Finding:
    """Whether a cap on messages or spend is reached today."""
    if settings.config.caps.none:
        return Finding("caps", Verdict.SKIP, "no messages_per_day, no spend_per_day")
    try:
        async with opened(settings) as store:
            now = await store.read(today, settings.config.organization_id)
    except (Refusal, Unavailable, UnknownSchema, sqlite3.Error, OSError):
        return Finding("caps", Verdict.SKIP, "the database cannot be asked")
    used = f"used today: {now.used.messages} messages, {now.used.spend / MILLION:.2f} spent"
    if not now.reached:
        return Finding("caps", Verdict.OK, used)
    text = f"reached: {', '.join(now.reached)} ({used}); what waits goes on at {rfc3339(now.ends_at)[:19]}Z"
    return Finding("caps", Verdict.WARN, f"{text}, or after gateway reload with a higher cap")


async def check_broker(settings: Settings) -> Finding:
    """Whether RabbitMQ answers and every exchange and queue is declared."""
    if settings.amqp_url is None:
        return Finding("broker", Verdict.SKIP, "GATEWAY_AMQP_URL is unset: the embedded bus, in one process")
    from gateway.bus.topology import Topology
    from gateway.commands.broker import BrokerAway, undeclared

    topology = Topology(settings.amqp_prefix, settings.partitions)
    try:
        async with asyncio.timeout(2 * SECONDS):
            missing = await undeclared(settings.amqp_url.get_secret_value(), topology, SECONDS)
    except TimeoutError:
        return Finding("broker", Verdict.FAIL, f"no answer within {2 * SECONDS:.0f} s; see GATEWAY_AMQP_URL")
    except BrokerAway as error:
        return Finding("broker", Verdict.FAIL, f"{error}; see GATEWAY_AMQP_URL")
    if missing:
        text = (
            f"answers, but {len(missing)} of its exchanges and queues are missing, such as {missing[0]}; "
            "a gateway worker declares them when it starts"
        )
        return Finding("broker", Verdict.FAIL, text)
    return Finding("broker", Verdict.OK, "answers, its exchanges and queues are declared")


async def check_twilio(settings: Settings) -> Finding:
    """Whether Twilio takes the credentials."""
    sid, tokens = settings.twilio_account_sid, settings.twilio_auth_tokens
    if not tokens:
        text = "TWILIO_AUTH_TOKEN is unset: no SMS, no calls"
        return Finding("Twilio", Verdict.SKIP, text)
    if sid is None:
        text = "TWILIO_ACCOUNT_SID is unset: webhooks are taken, nothing can be sent"
        return Finding("Twilio", Verdict.SKIP, text)
    import aiohttp

    url = f"{settings.twilio_api_url}/2010-04-01/Accounts/{sid}.json"
    auth = aiohttp.BasicAuth(sid, tokens[0].get_secret_value())
    try:
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, auth=auth, allow_redirects=False) as response,
        ):
            status = response.status
    except (aiohttp.ClientError, OSError, ValueError) as error:
        text = f"{settings.twilio_api_url} does not answer: {type(error).__name__}; see TWILIO_API_URL"
        return Finding("Twilio", Verdict.FAIL, text)
    if status == 200:
        return Finding("Twilio", Verdict.OK, f"account {sid} answers")
    if status in (401, 403, 404):
        text = f"refuses the credentials ({status}); check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"
        return Finding("Twilio", Verdict.FAIL, text)
    return Finding("Twilio", Verdict.FAIL, f"{settings.twilio_api_url} answers {status}; try again later")


async def check_twilio_numbers(settings: Settings) -> Finding:
    """Whether the numbers that are Twilio's send what comes in to this gateway."""
    from channels.twilio.numbers import TwilioNumbers, TwilioRefusal, points_at
    from gateway.channel_ports.accounts import twilio_channels, twilio_credentials

    credentials = twilio_credentials(settings)
    declared = [*settings.config.addresses_of(Channel.SMS), *settings.config.addresses_of(Channel.VOICE)]
    served = {entry.address: twilio_channels(settings, entry.address) for entry in declared}
    ours = {number: channels for number, channels in served.items() if channels}
    if credentials is None or credentials.account_sid is None or not ours:
        return Finding("numbers", Verdict.SKIP, "no account, or no number of it in gateway.toml")
    reader = TwilioNumbers(credentials)
    try:
        async with asyncio.timeout(2 * SECONDS):
            there = {number.phone_number: number for number in await reader.all()}
    except (TwilioRefusal, TimeoutError) as error:
        return Finding("numbers", Verdict.FAIL, str(error) or "Twilio does not answer; see TWILIO_API_URL")
    finally:
        await reader.close()
    astray = [
        number
        for number, channels in ours.items()
        if not (
            number in there
            and points_at(
                there[number].settings,
                settings.public_url,
                sms=Channel.SMS in channels,
                voice=Channel.VOICE in channels,
            )
        )
    ]
    if astray:
        text = f"Twilio does not send to {settings.public_url} for {', '.join(astray)}"
        return Finding("numbers", Verdict.FAIL, f"{text}; run: gateway twilio connect {' '.join(astray)}")
    return Finding("numbers", Verdict.OK, f"{len(ours)} at Twilio point at this gateway")


async def check_spool(settings: Settings) -> Finding:
    """Whether the ingress spool can be used, and what waits in it."""
    folder = settings.spool_dir
    if folder is None or settings.sqlite_path is not None:
        text = "GATEWAY_SPOOL_DIR is unset: 503 and 451 while the database is away"
        return Finding("spool", Verdict.SKIP, text if folder is None else "not used with SQLite")
    if not await asyncio.to_thread(os.access, folder, os.R_OK | os.W_OK | os.X_OK):
        text = f"{folder} is not there, or may not be written to; see GATEWAY_SPOOL_DIR"
        return Finding("spool", Verdict.FAIL, text)
    try:
        waiting = await asyncio.to_thread(spooled, folder)
    except (OSError, sqlite3.Error) as error:
        return Finding("spool", Verdict.FAIL, f"{folder} cannot be read: {error}")
    if waiting:
        text = f"{waiting} entries in {folder} wait for the database, or for a gateway that runs"
        return Finding("spool", Verdict.WARN, text)
    return Finding("spool", Verdict.OK, f"{folder} is empty")


async def check_attachments(settings: Settings) -> Finding:
    """Whether files can be kept where they should be; one of our own is kept there and deleted again."""
    from gateway.app.files import open_files

    place = settings.attachments_url
    if place is None:
        text = "GATEWAY_ATTACHMENTS_URL is unset: a folder in the data folder"
        if settings.embedded:
            return Finding("attachments", Verdict.SKIP, text)
        return Finding("attachments", Verdict.WARN, f"{text}, which other machines do not see")
    try:
        async with asyncio.timeout(3 * SECONDS):
            await open_files(settings).check()
    except TimeoutError:
        return Finding("attachments", Verdict.FAIL, f"{place} does not answer; see GATEWAY_ATTACHMENTS_URL")
    except Unavailable as error:
        return Finding("attachments", Verdict.FAIL, f"{error.message}; see GATEWAY_ATTACHMENTS_URL")
    return Finding("attachments", Verdict.OK, f"{place} takes and gives files")


async def check_senders(settings: Settings) -> Finding:
    """Whether a provider has stopped one of our addresses."""
    try:
        async with asyncio.timeout(3 * SECONDS), opened(settings) as store:
            stopped = await store.read(halted_senders)
    except (Refusal, Unavailable, UnknownSchema, sqlite3.Error, OSError) as error:
        return Finding("senders", Verdict.SKIP, f"not looked at: {str(error) or 'no answer'}")
    if not stopped:
        return Finding("senders", Verdict.OK, "none is stopped by its provider")
    text = "; ".join(
        f"{sender.address} ({sender.channel}) is stopped since {rfc3339(sender.halted_at)}: "
        f"the provider's code {sender.code}; {_way_out(sender)}"
        for sender in stopped[:10]
    )
    return Finding("senders", Verdict.FAIL, text)


def _way_out(sender: HaltedSender) -> str:
    if sender.retry_at is None:
        return "mend that, then requeue its dead letter (gateway dead list)"
    return "what it has to send waits, and is tried every two minutes"


CHECKS: tuple[Check, ...] = (
    check_database,
    check_pauses,
    check_caps,
    check_senders,
    check_spool,
    check_attachments,
    check_broker,
    check_twilio,
    check_twilio_numbers,
    check_telnyx,
    check_jambonz,
)


async def all_findings(settings: Settings) -> list[Finding]:
    """Every check, at once; in the order of the table."""
    looked, agents, servers, mail = await asyncio.gather(
        asyncio.gather(*(check(settings) for check in CHECKS)),
        agent_findings(settings),
        mcp_findings(settings),
        mail_findings(settings),
    )
    return [*config_findings(settings), *looked, *agents, *servers, *mail]
