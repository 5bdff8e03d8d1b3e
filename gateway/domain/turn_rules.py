"""What is configured for where a turn takes place."""

from dataclasses import dataclass

from gateway.domain.consent import DEFAULT_CONSENT, ConsentRules
from gateway.domain.fallback import NO_FALLBACKS, Fallbacks
from gateway.domain.usage import Meter


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRules:
    """What is configured for where a turn takes place."""

    fallbacks: Fallbacks = NO_FALLBACKS
    """For the case that nobody answers."""
    consent: ConsentRules = DEFAULT_CONSENT
    """What is said to somebody who wants no more messages."""
    meter: Meter | None = None
    """What counts it; None: there is no cap."""


NO_RULES = TurnRules()
