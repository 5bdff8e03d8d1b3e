"""The checks of `gateway doctor` for calls that others than Twilio carry."""

from gateway.commands.findings import Finding, Verdict
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
    begins = "" if settings.jambonz_api_key is None else ", and may be asked to call"
    text = f"an application that calls {url} with this login carries {', '.join(ours)}{begins}"
    return Finding("jambonz", Verdict.OK, text)
