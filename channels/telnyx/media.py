"""Where Telnyx keeps the files of messages: in its own storage, readable without a key.

Its documentation shows media.telnyx.com, and promises no name: https://developers.telnyx.com/docs/messaging/
messages/receive-message. The URLs themselves come in signed events.
"""

from collections.abc import Sequence

from channels.media import MediaClient, MediaPlaces


def telnyx_media(domains: Sequence[str]) -> MediaClient:
    """Fetches files from hosts of these domains; no credentials are sent."""
    return MediaClient(MediaPlaces(domains=tuple(domains)))
