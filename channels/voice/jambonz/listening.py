"""How jambonz listens to a caller: always in the background, or for digits that the agent has asked for."""

from channels.voice.jambonz.messages import DIGITS_HOOK, INPUT_HOOK
from channels.voice.jambonz.verbs import BOTH, BargeIn, Config, Gather, Prompt, TtsStream, Verb
from gateway.domain.digits import DEFAULT_DIGITS, DigitCollector, Digits
from gateway.domain.intent import DtmfInputSpec, resolve_digits


def resolved(spec: DtmfInputSpec | None) -> DtmfInputSpec:
    """What holds for the digits of an input: what the agent said, and what holds otherwise."""
    return resolve_digits(spec or DtmfInputSpec(), DEFAULT_DIGITS)[0]


def inputs_of(digits: str, asked: DtmfInputSpec | None, at: int) -> list[Digits]:
    """What keys mean that jambonz has collected, perhaps by what held before the agent asked for some.

    The first input is as asked for, what follows as usual: so it is where keys are reported one by one.
    """
    collector = DigitCollector()
    collected = collector.retune(asked, at)
    for key in digits:
        collected += collector.press(key, at)
    if collector.due is not None:
        collected += collector.tick(collector.due)
    return [one for one in collected if isinstance(one, Digits)]


def _barge_in() -> BargeIn:
    spec = resolved(None)
    return BargeIn(
        enable=True,
        sticky=True,
        action_hook=INPUT_HOOK,
        input=BOTH,
        finish_on_key=spec.termination_digit or None,
        min_digits=1,
        max_digits=spec.max_digits,
        inter_digit_timeout=_seconds(spec),
        dtmf_bargein=True,
        min_bargein_word_count=1,
    )


def opening() -> Config:
    """What a call begins with: its words may be streamed, and it is listened to."""
    return Config(
        barge_in=_barge_in(),
        tts_stream=TtsStream(enable=True),
        notify_events=True,
        track_tts_playout=True,
    )


def deaf() -> Config:
    """Nothing that the caller says ends what comes next."""
    return Config(barge_in=BargeIn(enable=False))


def listening() -> tuple[Verb, ...]:
    """Listen, in whatever way it was done before: what listens already takes no new settings."""
    return deaf(), Config(barge_in=_barge_in())


def collecting(asked: DtmfInputSpec, prompt: str | None = None) -> tuple[Verb, ...]:
    """Wait for digits, collected as asked for, or for speech."""
    spec = resolved(asked)
    gather = Gather(
        action_hook=DIGITS_HOOK,
        max_digits=spec.max_digits or 1,
        finish_on_key=spec.termination_digit or None,
        inter_digit_timeout=_seconds(spec),
        bargein=True,
        say=Prompt(text=prompt) if prompt else None,
    )
    return deaf(), gather


def _seconds(spec: DtmfInputSpec) -> float:
    return (spec.inter_digit_timeout_ms or 0) / 1000
