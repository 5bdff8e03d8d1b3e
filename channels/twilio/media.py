"""Where Twilio keeps the files of messages: at its API, which sends on to its storage.

Source: https://www.twilio.com/docs/messaging/api/media-resource
"""

from base64 import b64encode
from urllib.parse import urlsplit

from channels.media import MediaClient, MediaPlaces
from channels.twilio.credentials import API_URL, TwilioCredentials


def twilio_media(twilio: TwilioCredentials) -> MediaClient:
    """Fetches the files of one account. An API that is configured may be on a private network."""
    api = urlsplit(twilio.api_url)
    account = f"{twilio.account_sid}:{twilio.auth_tokens[0]}"
    return MediaClient(
        MediaPlaces(
            origin=f"{api.scheme}://{api.netloc}",
            authorization=f"Basic {b64encode(account.encode()).decode()}" if twilio.account_sid else None,
            public=twilio.api_url == API_URL,
            hosts={"s3-external-1.amazonaws.com": "/media.twiliocdn.com/"},
            domains=("twiliocdn.com",),
        )
    )
