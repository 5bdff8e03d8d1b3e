"""Our account at Twilio, as the adapters are handed it."""

from dataclasses import dataclass, field

API_URL = "https://api.twilio.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioCredentials:
    """One account. `auth_tokens` has one or more: while one is rotated, requests are signed with either."""

    account_sid: str | None
    """None in development: webhooks of any account are accepted, nothing can be sent."""
    auth_tokens: tuple[str, ...] = field(repr=False)
    api_url: str = API_URL
    """Where REST calls go, without a trailing slash."""

    def __post_init__(self) -> None:
        if not any(self.auth_tokens):
            raise ValueError("at least one auth token is needed to prove webhooks")
