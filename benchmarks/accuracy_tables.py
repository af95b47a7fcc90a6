"""The measured accuracy in docs/ as Markdown, from benchmarks/results/accuracy.json. `tools/make_docs.py` writes it."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.doc_tables import RESULTS, table


def accuracy_table() -> str:
    """Returns the accuracy of each way to label real clips, beside that of the default."""
    rows = []
    for entry in _of_samplings():
        top_1, top_5, cost = entry["top_1"], entry["top_5"], entry["cost"]
        span = f"{top_1['value']:.3f} ({top_1['low']:.2f} to {top_1['high']:.2f})"
        cpu = (f"{cost[name]:.1f}" for name in ("decode_cpu_seconds", "model_cpu_seconds"))
        rows.append((_name(entry), str(entry["clips"]), span, f"{top_5['value']:.3f}", *_beside_default(entry), *cpu))
    head = ("", "clips", "top-1 (95 %)", "top-5", "only default / only this right", "p", "same best label")
    return table((*head, "CPU-s decoding", "CPU-s model"), rows)


def accuracy_verdict() -> str:
    """Returns which differences of top-1 are more than chance."""
    measured = _of_samplings()
    compared = [entry for entry in measured if entry["compared"]]
    shown = [entry for entry in compared if entry["compared"]["top_1"]["verdict"] != "no difference shown"]
    others = [entry["compared"]["top_1"] for entry in compared if entry not in shown]
    largest = max(abs(found["difference"]) for found in others)
    smallest_p = min(found["p_value"] for found in others)
    widest = max(max(-found["low"], found["high"]) for found in others)
    videos = measured[0]["top_1"]["total"]
    return (
        f"With {videos} videos of a class, {len(shown)} of {len(compared)} differences of top-1 are more than chance:\n"
        f"{'; '.join(map(_name, shown)) or 'none'}. The others are at most {largest:.3f} with p ≥ {smallest_p:.2g};\n"
        f"their 95 % intervals reach {widest:.2f} to a side (`python -m benchmarks.accuracy`)."
    )


def crops_table() -> str:
    """Returns the accuracy of each part of the picture, on the clips and on wide videos, beside that of the center."""
    rows = []
    for entry in _of_crops():
        compared = entry["compared"] if not _is_center(entry) else None
        paired = (_paired(compared[name]) for name in ("top_1", "top_5")) if compared else ("", "")
        cpu = (f"{entry['cost'][name]:.1f}" for name in ("decode_cpu_seconds", "model_cpu_seconds"))
        top_1, top_5 = (
            f"{found['value']:.3f} ({found['low']:.2f} to {found['high']:.2f})"
            for found in (entry["top_1"], entry["top_5"])
        )
        first, fifth = paired
        rows.append((_crops_name(entry), top_1, first, top_5, fifth, *cpu))
    paired_head = "difference; only center / only this right; p"
    head = ("", "top-1 (95 %)", paired_head, "top-5 (95 %)", paired_head, "CPU-s decoding", "CPU-s model")
    return table(head, rows)


def _paired(found: dict[str, Any]) -> str:
    return f"{found['difference']:+.3f}; {found['only_a_right']} / {found['only_b_right']}; {found['p_value']:.2g}"


def _crops_name(entry: dict[str, Any]) -> str:
    beside, colon, name = entry["variant"].rpartition(": ")
    place = f"clips {beside}" if colon else "the clips"
    return f"{entry['model'].capitalize()}, {place}: {'`center`' if name == 'default' else name}"


def _of_samplings() -> list[dict[str, Any]]:
    """Returns the results on the clips with the center of the picture."""
    return [
        entry for entry in _read()["variants"] if not entry["variant"].startswith("beside ") and not _has_crops(entry)
    ]


def _of_crops() -> list[dict[str, Any]]:
    """Returns the results with other crops, and those with the center on the same videos."""
    found = _read()["variants"]
    return [
        entry
        for entry in found
        if _has_crops(entry) or (_is_center(entry) and any(_has_crops(each) and _alike(each, entry) for each in found))
    ]


def _has_crops(entry: dict[str, Any]) -> bool:
    return any(flag.startswith("--crops=") for flag in entry["flags"])


def _is_center(entry: dict[str, Any]) -> bool:
    return not entry["flags"]


def _alike(entry: dict[str, Any], other: dict[str, Any]) -> bool:
    """Returns whether two results are of one model and on the same videos."""
    beside, other_beside = (each["variant"].rpartition(": ")[0] for each in (entry, other))
    return bool(entry["model"] == other["model"] and beside == other_beside)


def novelty_table() -> str:
    """Returns how well each number separates real clips of the classes from clips of none of them."""
    found = _read()["novelty"]
    rows = [(each["model"].capitalize(), *(f"{of['auroc']:.2f}" for of in each["separations"])) for each in found]
    return table(("AUROC", *(each["signal"] for each in found[0]["separations"])), rows)


def _name(entry: dict[str, Any]) -> str:
    return f"{entry['model'].capitalize()}, {entry['variant']}"


def _beside_default(entry: dict[str, Any]) -> tuple[str, str, str]:
    compared = entry["compared"]
    if not compared:
        return ("", "", "")
    found = compared["top_1"]
    only = f"{found['only_a_right']} / {found['only_b_right']}"
    return (only, f"{found['p_value']:.2g}", f"{compared['same_label']} of {compared['videos']}")


def _read() -> Any:
    return json.loads((RESULTS / "accuracy.json").read_text("utf-8"))
