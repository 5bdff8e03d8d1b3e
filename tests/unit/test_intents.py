"""Intents and digit specs made complete: defaults, what overrides what, and bounds."""

from gateway.domain.intent import (
    MAX_SPOKEN,
    CallTransferIntent,
    DtmfInputSpec,
    OnFailure,
    TransferMode,
    WarmOverrides,
    WarmTransfer,
    resolve_digits,
    resolve_transfer,
)

ANN = "+15550112"


def test_a_cold_transfer_has_no_warm_settings() -> None:
    """Whatever came with it."""
    intent, corrected = resolve_transfer(CallTransferIntent(destination=ANN, warm=WarmTransfer()))
    assert intent.warm is None
    assert intent.failure_action is OnFailure.RETURN_TO_AGENT
    assert corrected == []


def test_a_warm_transfer_has_all_of_them() -> None:
    """Defaults, then `warm`, then `warm_overrides`."""
    intent, corrected = resolve_transfer(
        CallTransferIntent(
            destination=ANN,
            mode=TransferMode.WARM,
            warm=WarmTransfer(max_dial_seconds=10, briefing_template="A"),
            warm_overrides=WarmOverrides(briefing_template="B"),
        )
    )
    assert intent.warm == WarmTransfer(max_dial_seconds=10, briefing_template="B")
    assert intent.warm_overrides is None
    assert corrected == []
    assert resolve_transfer(intent) == (intent, [])


def test_what_is_out_of_bounds_is_set_right_and_named() -> None:
    """For the timeline."""
    intent, corrected = resolve_transfer(
        CallTransferIntent(
            destination=ANN,
            mode=TransferMode.WARM,
            max_retries=99,
            on_failure="explode",
            connecting_text="x" * (MAX_SPOKEN + 1),
            warm=WarmTransfer(max_hold_seconds=0, silence_timeout_seconds=10_000, failure_text="y" * 3_000),
        )
    )
    assert intent.max_retries == 5
    assert intent.failure_action is OnFailure.RETURN_TO_AGENT
    assert len(intent.connecting_text or "") == MAX_SPOKEN
    assert intent.warm is not None
    assert (intent.warm.max_hold_seconds, intent.warm.silence_timeout_seconds) == (10, 120)
    assert set(corrected) == {
        "max_retries",
        "on_failure",
        "connecting_text",
        "warm.max_hold_seconds",
        "warm.silence_timeout_seconds",
        "warm.failure_text",
    }


def test_digits_over_the_agents_default() -> None:
    """Unset keeps the default; out of bounds is set right and named."""
    default = DtmfInputSpec(max_digits=6, termination_digit="#", prefix="Digits: ")
    spec, clamped = resolve_digits(
        DtmfInputSpec(expects_input=True, max_digits=500, inter_digit_timeout_ms=1, termination_digit="x"),
        default,
    )
    assert spec == DtmfInputSpec(
        expects_input=True,
        max_digits=64,
        inter_digit_timeout_ms=250,
        termination_digit="#",
        prefix="Digits: ",
    )
    assert clamped == ["max_digits", "inter_digit_timeout_ms", "termination_digit"]
