"""Our account at jambonz, as whoever calls by its REST API is handed it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class JambonzAccount:
    """One account, and the application in it whose calls are ours."""

    api_url: str
    """Where REST calls go, without a trailing slash and without `/v1`."""
    account_sid: str
    application_sid: str
    api_key: str = field(repr=False)
