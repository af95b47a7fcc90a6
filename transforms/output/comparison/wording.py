"""The verdict of a comparison as text, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Sequence

from reelbeam.transforms.output.comparison.changes import Drift, FieldChange
from reelbeam.transforms.output.comparison.drift import MAX_P_VALUE, MIN_VIDEOS

_NAMES = {
    "model_fingerprint": "model",
    "label_map_fingerprint": "labels",
    "sampling_fingerprint": "sampling",
    "output_activation": "output activation",
    "schema_version": "schema version",
    "thresholds_fingerprint": "thresholds",
}


def verdict_text(drift: Drift, settings: Sequence[FieldChange]) -> str:
    """Returns the verdict and its reason, without a full stop."""
    return f"{drift.verdict}: {reason_text(drift, settings)}"


def reason_text(drift: Drift, settings: Sequence[FieldChange]) -> str:
    """Returns the reason of the verdict, without a full stop.

    Args:
      drift: the comparison.
      settings: the differences of model and sampling.
    """
    if drift.verdict == "not comparable":
        return f"{settings_text(settings)}; label shares may differ for that reason"
    if drift.verdict == "too few videos":
        return (
            f"{drift.labeled_before} labeled videos before and {drift.labeled_after} after; a verdict needs "
            f"{MIN_VIDEOS} on each side"
        )
    chance = percent(drift.chance_variation)
    if drift.p_value > MAX_P_VALUE:
        return (
            f"label shares differ no more than by chance: by {percent(drift.observed_variation)} of the videos, and "
            f"chance alone gives {chance} (p = {p_text(drift.p_value)})"
        )
    small = ", which is significant but small" if drift.verdict == "no drift" else ""
    return (
        f"about {percent(drift.moved)} of the videos moved to other labels (p = {p_text(drift.p_value)}){small}; label "
        f"shares differ by {percent(drift.observed_variation)}, and chance alone gives {chance}"
    )


def settings_text(settings: Sequence[FieldChange]) -> str:
    """Returns which settings differ, as text.

    >>> settings_text([FieldChange("model", "a0", "a2"), FieldChange("target_fps", "5", "10")])
    'model (a0, then a2) and target_fps (5, then 10) differ'
    """
    texts = [f"{_NAMES.get(each.name, each.name)} ({each.before}, then {each.after})" for each in settings]
    together = " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))
    return f"{together} {'differs' if len(texts) == 1 else 'differ'}"


def percent(share: float) -> str:
    """Returns a share in percent; small ones are not rounded to 0, nor large ones to 100.

    >>> [percent(share) for share in (0.1234, 0.0996, 0.004, 0.00001, 0, 0.9999, 1)]
    ['12 %', '10 %', '0.4 %', '< 0.1 %', '0 %', '> 99.9 %', '100 %']
    """
    value = 100 * share
    if 0 < value < 0.1:
        return "< 0.1 %"
    if 99.9 < value < 100:
        return "> 99.9 %"
    digits = 0 if 9.95 <= value <= 99 else 1
    return f"{value:.{digits}f}".removesuffix(".0") + " %"


def points(share: float) -> str:
    """Returns a difference of shares in percentage points.

    >>> points(0.031), points(-0.1), points(0.0004), points(0)
    ('+3.1', '-10', '+0.04', '0')
    """
    value = 100 * share
    text = f"{abs(value):.2g}" if abs(value) < 10 else f"{abs(value):.0f}"
    return "0" if text == "0" else f"{'-' if value < 0 else '+'}{text}"


def p_text(p_value: float) -> str:
    """Returns a p-value as text.

    >>> p_text(0.001), p_text(0.0421), p_text(1.0)
    ('0.001', '0.042', '1')
    """
    return f"{p_value:.2g}"
