"""What was measured of Stream models as Markdown, from benchmarks/results. `tools/make_docs.py` writes it."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.doc_tables import RESULTS, table


def warm_up_table() -> str:
    """Returns the results of a clip alone, after a warm-up and with a carried state, beside an unbroken pass."""
    still, scenes = (
        [entry for entry in _read(name) if entry["reference"] == "unbroken"]
        for name in ("warm_up_still", "warm_up_scenes")
    )
    # The entry for segments comes first in the file, and is the last column but one.
    scenes.sort(key=lambda entry: entry["segment_seconds"] is not None)
    rows = []
    for video, found in {"a film with little motion": still, "a film of short scenes": scenes}.items():
        by_way = {_way(entry): f"{entry['relative_difference']:.2f}, {entry['same_top1']:.0%}" for entry in found}
        rows.append((video, *(by_way.get(_way(entry), "–") for entry in scenes), ""))
    right = [*(entry["right"] for entry in scenes), scenes[0]["reference_right"]]
    rows.append(("the same: right labels", *(f"{share:.0%}" for share in right)))
    return table(("", *map(_way, scenes), "unbroken pass"), rows)


def warm_up_verdict() -> str:
    """Returns the share of right labels of a clip alone, with a carried state, and in an unbroken pass."""
    scenes = [entry for entry in _read("warm_up_scenes") if entry["reference"] == "unbroken"]
    (carried,) = (entry for entry in scenes if entry["segment_seconds"])
    (alone,) = (entry for entry in scenes if not entry["warm_up_seconds"])
    return (
        f"On a film of short scenes, {alone['right']:.0%} of the labels are right if each clip starts from an empty "
        f"state, {carried['right']:.0%} with a carried\nstate and the default warm-up, and "
        f"{alone['reference_right']:.0%} in an unbroken pass (`python -m benchmarks.warm_up`)."
    )


def _way(entry: dict[str, Any]) -> str:
    seconds = entry["warm_up_seconds"]
    if entry.get("segment_seconds"):
        return f"`--carry_state` in segments of {entry['segment_seconds']} s"
    return f"after {seconds} s" if seconds else "each clip alone (default)"


def short_rests_table() -> str:
    """Returns the labels of a clip and a short rest, for each treatment of the rest."""
    rows = []
    for entry in _read("short_rests"):
        fps = entry["target_fps"]
        lengths = f"{entry['clip_frames'] / fps:g} s and {entry['rest_frames'] / fps:g} s"
        shares = (f"{entry[name]:.0%}" for name in ("rest_alone", "drop", "keep", "shift_back"))
        rows.append((lengths, str(entry["windows"]), *shares))
    head = ("clip and rest", "windows", "the rest alone", "the clip alone (`drop`)")
    return table((*head, "the rest as a short clip (`keep`)", "a clip moved back (`shift_back`)"), rows)


def _read(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
