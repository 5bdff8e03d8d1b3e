"""What the transfers of one call are carried out with."""

from dataclasses import dataclass

from channels.voice.jambonz.caller_side import CallerSide
from channels.voice.jambonz.kept import Kept
from channels.voice.jambonz.legs import Legs
from gateway.domain.call_rules import CallRules
from gateway.domain.clock import Clock


@dataclass(frozen=True, slots=True)
class Parts:
    """Those of one call."""

    kept: Kept
    side: CallerSide
    legs: Legs
    rules: CallRules
    clock: Clock
