"""Helpers for benchmarks: films of any length without a long encode, and the memory of a run's processes."""

from __future__ import annotations

import pathlib
import sys

_TESTS = pathlib.Path(__file__).resolve().parents[1] / "tests" / "support"


def make_film(path: pathlib.Path, minutes: int, width: int, height: int, fps: int = 30) -> pathlib.Path:
    """Writes an H.264 video with B-frames and a key frame every two seconds, by repeating the packets of one minute."""
    sys.path[:0] = [str(_TESTS)]
    import data_generation as generate

    # Without b-adapt=0, the encoder omits B-frames of nearly still pictures.
    options = {"x264-params": "b-adapt=0", "preset": "ultrafast"}
    minute = path.with_name(f"minute_of_{path.stem}.mp4")
    generate.make_video(minute, 60 * fps, fps, width, height, b_frames=2, gop=2 * fps, options=options)
    return generate.looped(minute, path, minutes)


def peaks_mib(pid: int) -> tuple[float, float]:
    """Returns the peak resident memory of a run's process and of its largest decoder process so far."""
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/children")
    children = [pathlib.Path("/proc") / child for task in tasks for child in _text(task).split()]
    decoders = [child for child in children if "sandbox_child" in _text(child / "cmdline")]
    return _peak_mib(pathlib.Path(f"/proc/{pid}")), max(map(_peak_mib, decoders), default=0.0)


def _peak_mib(process: pathlib.Path) -> float:
    lines = [line for line in _text(process / "status").splitlines() if line.startswith("VmHWM:")]
    return int(lines[0].split()[1]) / 1024 if lines else 0.0


def _text(path: pathlib.Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:  # it has just ended
        return ""
