"""The verdict of a comparison as one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from reelbeam.transforms.output.comparison.drift import MAX_P_VALUE, MIN_VIDEOS
from reelbeam.transforms.output.digest.changes import Drift, FieldChange

_NAMES = {
    "model_fingerprint": "model",
    "label_map_fingerprint": "labels",
    "sampling_fingerprint": "sampling",
    "output_activation": "output activation",
    "schema_version": "schema version",
}


def verdict_text(drift: Drift, settings: Sequence[FieldChange]) -> str:
    """Returns the verdict as a sentence without a full stop, which begins with the verdict.

    Args:
      drift: the comparison.
      settings: the differences of model and sampling.
    """
    if drift.verdict == "not comparable":
        return f"not comparable: {settings_text(settings)}; label shares may differ for that reason"
    if drift.verdict == "too few videos":
        return (
            f"too few videos for a verdict: {drift.labeled_before} and {drift.labeled_after} labeled ones, "
            f"{MIN_VIDEOS} are needed on each side"
        )
    moved = f"label shares moved by about {percent(drift.total_variation)} of the videos (p = {p_text(drift.p_value)})"
    if drift.verdict == "drift":
        return f"drift: {moved}"
    if drift.p_value <= MAX_P_VALUE:
        return f"no drift: {moved}, which is significant but small"
    return f"no drift: label shares differ no more than by chance (p = {p_text(drift.p_value)})"


def settings_text(settings: Sequence[FieldChange]) -> str:
    """Returns which settings differ, as text.

    >>> settings_text([FieldChange("model", "a0", "a2"), FieldChange("target_fps", "5", "10")])
    'model (a0, then a2) and target_fps (5, then 10) differ'
    """
    texts = [f"{_NAMES.get(each.name, each.name)} ({each.before}, then {each.after})" for each in settings]
    together = " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))
    return f"{together} {'differs' if len(texts) == 1 else 'differ'}"


def percent(share: float) -> str:
    """Returns a share as text.

    >>> percent(0.1234), percent(0.004), percent(0.00001), percent(0)
    ('12 %', '0.4 %', '< 0.1 %', '0 %')
    """
    if 0 < abs(share) < 0.001:
        return "< 0.1 %"
    number = f"{share * 100:.0f}" if abs(share) >= 0.0995 else f"{share * 100:.1f}".removesuffix(".0")
    return f"{number} %"


def p_text(p_value: float) -> str:
    """Returns a p-value as text.

    >>> p_text(0.001), p_text(0.0421), p_text(1.0)
    ('0.001', '0.042', '1')
    """
    return f"{p_value:.2g}"
