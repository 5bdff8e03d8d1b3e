"""The official client of Twilio, put to the fake. It is synchronous, so tests call it in a thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client


@contextmanager
def official_client(account: str, token: str, url: str) -> Iterator[Any]:
    """A client of the API at `url`; it has no types."""
    http = TwilioHttpClient(timeout=60)
    client: Any = Client(account, token, http_client=http)
    client.api.base_url = url
    yield client
    assert http.session is not None
    http.session.close()
