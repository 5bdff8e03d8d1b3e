"""The check of `gateway doctor` for texts that Telnyx carries."""

from collections.abc import Sequence

from gateway.commands.findings import SECONDS, Finding, Verdict
from gateway.domain.message import Channel
from gateway.settings import Settings, SmsProvider

_MOST_NAMED = 5
"""Numbers in one line."""


async def check_telnyx(settings: Settings) -> Finding:
    """Whether Telnyx takes the API key, and whether every number that is Telnyx's can be served."""
    key = settings.telnyx_api_key
    ours = [
        entry.address
        for entry in settings.config.addresses_of(Channel.SMS)
        if entry.provider is SmsProvider.TELNYX
    ]
    if not settings.telnyx_public_keys:
        if ours:
            text = f"TELNYX_PUBLIC_KEY is unset: no text to {', '.join(ours)} can be taken"
            return Finding("Telnyx", Verdict.FAIL, text)
        return Finding("Telnyx", Verdict.SKIP, "TELNYX_PUBLIC_KEY is unset: no texts by Telnyx")
    if key is None:
        text = "TELNYX_API_KEY is unset: texts are taken, nothing can be sent"
        return Finding("Telnyx", Verdict.FAIL if ours else Verdict.SKIP, text)
    import aiohttp

    headers = {"Authorization": f"Bearer {key.get_secret_value()}"}
    try:
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.get(f"{settings.telnyx_api_url}/v2/balance", allow_redirects=False) as response,
        ):
            status = response.status
    except (aiohttp.ClientError, OSError, ValueError) as error:
        text = f"{settings.telnyx_api_url} does not answer: {type(error).__name__}; see TELNYX_API_URL"
        return Finding("Telnyx", Verdict.FAIL, text)
    if status == 200:
        return Finding("Telnyx", Verdict.OK, "the API key is taken" + _unpaced(settings, ours))
    if status in (401, 403):
        return Finding("Telnyx", Verdict.FAIL, f"refuses the API key ({status}); check TELNYX_API_KEY")
    return Finding("Telnyx", Verdict.FAIL, f"{settings.telnyx_api_url} answers {status}; try again later")


def _unpaced(settings: Settings, ours: Sequence[str]) -> str:
    """What is to be known of numbers whose texts may wait at Telnyx; nothing where all have a rate."""
    numbers = [
        address
        for address in ours
        if settings.config.channel(Channel.SMS, address).segments_per_second is None
    ]
    if not numbers:
        return ""
    return (
        f"; {', '.join(numbers[:_MOST_NAMED])}: texts beyond their rate wait at Telnyx for up to four hours"
        " (validity is Twilio's); with segments_per_second they wait here"
    )
