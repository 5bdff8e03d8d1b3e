"""Where Telnyx keeps the files of messages: in its own storage, readable without a key.

Source: https://developers.telnyx.com/docs/messaging/messages/receive-message
"""

from channels.media import MediaClient, MediaPlaces


def telnyx_media() -> MediaClient:
    """Fetches files; no credentials are sent."""
    return MediaClient(MediaPlaces(domains=("telnyx.com", "telnyxstorage.com")))
