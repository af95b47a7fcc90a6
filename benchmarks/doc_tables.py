"""The measured figures of docs/ as Markdown, from benchmarks/results. `tools/make_docs.py` writes them."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterable
from typing import Any

from reelbeam.transforms.models.registry.catalog import CATALOG

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
COSTS = ROOT / "pipeline" / "costs" / "costs.json"

_DECODING_METHODS = ("pyav full", "decord", "opencv", "ffmpeg")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Returns a Markdown table."""
    names = list(head)
    lines = [names, ["---"] * len(names), *map(list, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def models_table() -> str:
    """Returns the catalog: input, cost and classes of each model."""
    costs = json.loads(COSTS.read_text("utf-8"))["seconds_per_clip"]["openvino"]
    rows = []
    for name, spec in CATALOG.items():
        preset = spec.preset
        an_hour = f"{costs[name] * 3600 / float(preset.clip_seconds):,.0f}" if name in costs else "–"
        gflops = f"{spec.gflops:g}" if spec.gflops else "–"
        top1 = f"{spec.top1_percent:.2f}" if spec.top1_percent else "–"
        sizes = (str(preset.num_frames), str(preset.target_fps), f"{preset.resize} → {preset.size}")
        rows.append((f"`{name}`", *sizes, gflops, an_hour, top1))
    head = ("model", "frames", "fps", "resize → size", "GFLOPs per clip", "CPU-s per hour of video", "top-1 %")
    return table(head, rows)


def inference_table() -> str:
    """Returns the cost of a clip: our engine, OpenVINO's benchmark_app and TensorFlow."""
    rows = []
    for entry in _read("inference"):
        ours, app, theirs = entry["openvino"], entry["benchmark_app"], entry["tensorflow"]
        other = (f"{theirs:.1f}", f"{theirs / ours:.0f}") if theirs else ("–", "–")
        rate = f"{entry['clips_per_second']:.2f}"
        rows.append((f"`{entry['model']}`", f"{ours:.3f}", f"{app:.3f}", f"{ours / app:.2f}", rate, *other))
    head = ("model", "CPU-s per clip", "benchmark_app", "ratio", "clips/s, 2 cores", "TensorFlow CPU-s", "ratio")
    return table(head, rows)


def decoding_table() -> str:
    """Returns the cost of decoding: our decoder and other methods on the same files."""
    rows = []
    for entry in _read("decode"):
        costs = entry["cpu_seconds"]
        ours = costs["reelbeam"]
        others = (costs.get(method) for method in _DECODING_METHODS)
        cells = ("–" if cost is None else f"{cost:.3f} ({cost / ours:.2f}×)" for cost in others)
        rows.append((entry["video"], f"{ours:.3f}", *cells))
    return table(("file", "Reelbeam", "PyAV, all frames", "decord", "OpenCV", "ffmpeg -vf fps,scale"), rows)


def precision_table() -> str:
    """Returns the differences between bfloat16 and float32."""
    rows = []
    for entry in _read("precision"):
        ratio = entry["bfloat16_cpu_seconds"] / entry["float32_cpu_seconds"]
        same = (f"{entry['same_top1']:.0%}", f"{entry['same_top5']:.0%}")
        spread = (f"{entry['largest_logit_difference']:.3f}", f"{entry['logit_deviation']:.2g}")
        rows.append((f"`{entry['model']}`", *same, *spread, f"{ratio:.2f}×"))
    head = ("model", "same top-1", "same top-5", "largest logit difference", "deviation of the logits", "CPU time")
    return table(head, rows)


def layers() -> str:
    """Returns the time of A0-Base by kind of layer."""
    measured = _read("layers")
    kinds, peak = measured["models"]["a0-base"], measured["peak_gflops"]
    total = sum(share["seconds"] for share in kinds.values())
    shares, rates = {}, {}
    for kind in ("pointwise", "depthwise"):
        found = [share for name, share in kinds.items() if name.startswith(kind)]
        seconds = sum(share["seconds"] for share in found)
        shares[kind], rates[kind] = seconds / total, sum(share["gigaops"] for share in found) / seconds / peak
    return (
        f"A0-Base spends {shares['pointwise']:.0%} of its time in pointwise convolutions, at {rates['pointwise']:.0%} "
        f"of the {peak:.0f} GFLOP/s that\na core of this machine reaches in a matrix product, and "
        f"{shares['depthwise']:.0%} in depthwise convolutions, at {rates['depthwise']:.0%}. The rest moves\nmemory: "
        "sums over space, products by element, changes of layout (`python -m benchmarks.layers`)."
    )


def whole_program() -> str:
    """Returns the cost of the program in addition to decoding and inference."""
    found = _read("label")
    return (
        f"{found['videos']} videos of 10 s at 256p with A0-Base took {found['label_over_parts']:.2f} times the CPU "
        "time of decoding and inference measured alone,\nincluding the start of the program. Two cores were "
        f"{found['speedup']:.2f} times as fast as one (`python -m benchmarks.label`)."
    )


def short_videos() -> str:
    """Returns what two workers of a Flink cluster fetched and sent, with and without a shuffle of short videos."""
    found = _read("short_videos")
    head = ("segments of short videos", "fetched, of the videos' bytes", "kB between tasks")
    rows = [
        (
            way,
            f"{entry['bytes_fetched'] / found['bytes_of_videos']:.2f}×",
            f"{entry['bytes_between_tasks'] / 1000:,.0f}",
        )
        for way, entry in found["ways"].items()
    ]
    return table(head, rows)


def ledger_table() -> str:
    """Returns the cost of finding new videos."""
    rows = []
    for name, entry in _read("ledger").items():
        if isinstance(entry, dict):
            what = name.replace("ledger of ", "1000 listed files, ledger of ")
            rows.append((what, f"{entry['seconds']:.0f}", f"{entry['cpu_seconds']:.0f}", f"{entry['peak_mib']:.0f}"))
    return table(("what", "seconds", "CPU-s", "peak MiB"), rows)


def report_table() -> str:
    """Returns the cost of reports: of a small and a large output without pictures, and of one with pictures."""
    rows = []
    for name, parts in _read("report").items():
        if "last" in name:
            continue
        entry, of_output = parts["report"], parts.get("content", {})
        clips, videos = of_output.get("clips", 0), of_output.get("videos", entry.get("videos"))
        what = (
            f"{clips:,} clips of {videos:,} videos"
            if clips
            else f"{entry['clips']} clips with pictures, {videos} videos"
        )
        size = f"{entry['bytes'] / 1e6:.1f}"
        rows.append((what, f"{entry['seconds']:.0f}", f"{entry['peak_mib']:.0f}", size))
    return table(("output", "seconds", "peak MiB", "MB of the page"), rows)


def startup_cost() -> str:
    """Returns what commands cost besides their work."""
    measured = _read("startup")
    beam, run = measured["beam"]["cpu_seconds"], measured["run"]
    costs = {"import apache_beam": measured["beam"]}
    costs |= {f"reelbeam {name}": cost for name, cost in measured["commands"].items()}
    rows = [
        (f"`{name}`", f"{cost['cpu_seconds']:.2f}", f"{cost['cpu_seconds'] / beam:.2f}") for name, cost in costs.items()
    ]
    above = run["cpu_seconds_above_work"]
    return (
        f"{table(('command', 'CPU-seconds', 'ratio'), rows)}\n\n"
        f"A run over one video costs {above:.1f} CPU-seconds above decoding and inference, {above / beam:.1f} times "
        f"the import of Beam\nalone (`{run['model']}`, with the converted model in the cache)."
    )


def diff_cost() -> str:
    """Returns the cost of the comparison of two outputs."""
    entry = _read("diff")["outputs"][-1]
    videos, cost = entry["videos"], entry["diff"]
    return (
        f"Outputs of {videos:,} and {videos * 11 // 10:,} videos, with ten clips each, are compared in "
        f"{cost['seconds']:.0f} seconds and {cost['peak_mib']:.0f} MiB\n(`python -m benchmarks.diff`)."
    )


def drift_table() -> str:
    """Returns the estimates of drift in simulated corpora, by the number of videos of a side."""
    samples = _read("drift")["samples"]
    sizes = sorted({entry["videos"] for entry in samples})
    by_place = {(entry["change"], entry["videos"]): entry for entry in samples}
    rows = []
    for change in dict.fromkeys(entry["change"] for entry in samples):
        found = [by_place[change, videos] for videos in sizes]
        of_100 = by_place[change, 100]
        seen = (f"{of_100[name]:.0%}" for name in ("true", "observed", "chance"))
        rows.append((change, *seen, *(f"{entry['moved']:.0%}" for entry in found)))
    head = ("what changed", "true", "observed (100 videos)", "by chance (100)")
    return table((*head, *(f"estimate ({videos:,} videos)" for videos in sizes)), rows)


def drift_alarms() -> str:
    """Returns how often samples of one corpus seem to differ, and to have drifted."""
    measured = _read("drift")
    entries = [entry for entry in measured["samples"] if entry["change"] == "nothing"]
    number = len(entries) * measured["repetitions"]
    significant, drift = (sum(entry[name] for entry in entries) / len(entries) for name in ("significant", "drift"))
    return (
        f"Of {number} pairs of samples of one corpus with {measured['labels']} labels, {significant:.1%} had p ≤ 0.05, "
        f"and {drift:.1%} had the\nverdict `drift` (`python -m benchmarks.drift`)."
    )


def parity() -> str:
    """Returns the differences between OpenVINO and TensorFlow.

    Raises:
      AssertionError: some model gave other top five classes, or a model is missing.
    """
    measured = _read("parity")
    assert {row["model"] for row in measured} == set(CATALOG) - {"demo"} and all(row["same_top5"] for row in measured)
    largest = max(row["largest_logit_difference"] for row in measured)
    return (
        "On a clip of real frames, OpenVINO and TensorFlow give the same five classes in the same order for all "
        f"twelve models;\nlogits differ by at most {largest:.1e} (`python -m benchmarks.parity`; random weights, A3 to "
        "A5 on 8 frames)."
    )


def demo_accuracy() -> str:
    """Returns the accuracy of the bundled model at its frame rate and at half of it."""
    full, half = _read("demo_accuracy"), _read("demo_accuracy_half_rate")
    right = round(full["accuracy"] * full["videos"])
    return (
        f"The bundled model labels {right} of {full['videos']} held-out H.264 videos correctly, in 12 sizes and at "
        "24, 25, 29.97, 30 and 60 fps.\nIf the same videos are sampled at half the rate on purpose, it labels "
        f"{half['accuracy']:.0%} correctly, and almost every rotation\nseems to turn the other way "
        "(`python -m benchmarks.demo_accuracy`)."
    )


def _read(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
