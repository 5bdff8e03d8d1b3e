"""The checks of `gateway doctor` for calls that others than Twilio carry."""

from channels.voice.jambonz.account import JambonzAccount
from gateway.channel_ports.accounts import jambonz_account
from gateway.commands.findings import Finding, Verdict
from gateway.domain.delivery import OutcomeUnknown
from gateway.domain.message import Channel
from gateway.settings import Settings, VoiceMode


async def check_jambonz(settings: Settings) -> Finding:
    """Whether jambonz can open the calls that are its own, and where."""
    from channels.voice.jambonz.routes import PATH

    ours = [
        entry.address
        for entry in settings.config.addresses_of(Channel.VOICE)
        if entry.voice_mode is VoiceMode.JAMBONZ
    ]
    if settings.jambonz_webhook_login is None:
        if ours:
            text = f"JAMBONZ_WEBHOOK_LOGIN is unset: no call to {', '.join(ours)} can be taken"
            return Finding("jambonz", Verdict.FAIL, text)
        return Finding("jambonz", Verdict.SKIP, "JAMBONZ_WEBHOOK_LOGIN is unset: no calls by jambonz")
    url = f"ws{settings.public_url.removeprefix('http')}{PATH}"
    if not ours:
        text = 'no address has voice_mode = "jambonz"; its calls are taken nevertheless'
        return Finding("jambonz", Verdict.WARN, text)
    account = jambonz_account(settings)
    if account is not None:
        reason = await _refusal(account, ours[0])
        if reason is not None:
            text = f"{account.api_url} does not list the account's calls ({reason}): none can begin"
            return Finding("jambonz", Verdict.FAIL, text)
    begins = (
        "; without its account (JAMBONZ_API_KEY, …), a caller whose connection is lost hears nothing more"
        if account is None
        else ", and may be asked to call"
    )
    text = f"an application that calls {url} with this login carries {', '.join(ours)}{begins}"
    return Finding("jambonz", Verdict.OK, text)


async def _refusal(account: JambonzAccount, ours: str) -> str | None:
    """Why jambonz's API takes nothing from us; None where it does."""
    from channels.voice.jambonz.rest import JambonzRest

    rest = JambonzRest(account)
    try:
        found = await rest.listed(ours, ours)
    finally:
        await rest.close()
    return found.reason if isinstance(found, OutcomeUnknown) else None
