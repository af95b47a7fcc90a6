"""Measure the CPU-seconds of decoding: our decoder and other methods for the same clips.

    python benchmarks/decode.py [--json FILE] [--repeat N] [VIDEO ...]

Every method runs in its own process, one after the other, on the same files, for the same frames: the clips of A0's
preset (50 frames at 5 fps, short side 192, crop 172) over the whole video. The result is the best CPU time of N runs of
the process and its children, without start-up. Short videos are decoded many times. Our clips and those of the full
decode are compared byte for byte.

    reelbeam   the pipeline's `decode_clips`
    pyav full  the same without the fast path: every frame is decoded
    decord     VideoReader on one thread, the wanted frames by index, scaled by the reader
    opencv     VideoCapture on one thread, `grab` for every frame, `retrieve` and a bilinear `resize` for wanted ones
    ffmpeg     the command, on one thread: `-vf fps=5,scale=...` to raw RGB

The other methods need the extra `bench`. A method that is not installed, or that cannot decode a file, is omitted. If a
file has several video streams, decord and OpenCV may choose a smaller one than our decoder.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
METHODS = ("reelbeam", "pyav full", "decord", "opencv", "ffmpeg")


def main() -> int:
    """Runs the benchmark, or with --method one of its measurements in this process."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("videos", nargs="*", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path, help="also write the results to this file")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--method", choices=METHODS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.method:
        from benchmarks import decode_methods

        print(json.dumps(decode_methods.measure(arguments.method, arguments.videos[0])))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        videos = arguments.videos or default_videos(pathlib.Path(folder))
        rows = [compare(video, arguments.repeat) for video in videos]
    print_table(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return 0 if all(row["identical"] for row in rows) else 1


def default_videos(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the real videos next to the project if they exist, else generated ones."""
    shared = ROOT.parent / "shared" / "media"
    if shared.is_dir():
        return sorted(path for path in shared.iterdir() if path.suffix in (".mp4", ".mkv", ".avi", ".webm"))
    sys.path[:0] = [str(ROOT / "tests" / "support")]
    import data_generation as generate

    made: dict[str, dict[str, Any]] = {
        "h264_1080p.mp4": {"width": 1920, "height": 1080, "b_frames": 3, "gop": 160},
        "h264_256p.mp4": {"width": 340, "height": 256, "b_frames": 3, "gop": 250},
        "mpeg2_256p.ts": {"width": 340, "height": 256, "b_frames": 2, "codec": "mpeg2video"},
    }
    return [generate.make_video(folder / name, 300, 30, draw=generate.draw_moving, **how) for name, how in made.items()]


def compare(video: pathlib.Path, repeat: int) -> dict[str, Any]:
    """Measures every method on one video. Methods alternate, so that other load affects all of them."""
    results: dict[str, dict[str, Any]] = {}
    for _ in range(repeat):
        for method in METHODS:
            if not is_installed(method):
                continue
            found = run(method, video)
            if found is None:
                continue
            if method not in results or found["cpu_seconds"] < results[method]["cpu_seconds"]:
                results[method] = found
    ours, full = results["reelbeam"], results["pyav full"]
    return {
        "video": video.name,
        "clips": ours["clips"],
        "identical": ours["digest"] == full["digest"],
        "full_decodes": ours["full_decodes"],
        "cpu_seconds": {method: result["cpu_seconds"] for method, result in results.items()},
        "parts": ours["parts"],
        "rounds": repeat,
    }


def run(method: str, video: pathlib.Path) -> dict[str, Any] | None:
    """Returns the measurement of one process; None if another library cannot read the file."""
    command = [sys.executable, "-m", "benchmarks.decode", "--method", method, str(video)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        if method in ("reelbeam", "pyav full"):
            raise RuntimeError(f"{method} on {video}: {done.stderr}")
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def is_installed(method: str) -> bool:
    """Returns whether the method's package is installed."""
    package = {"decord": "decord", "opencv": "cv2", "ffmpeg": "imageio_ffmpeg"}.get(method)
    return package is None or importlib.util.find_spec(package) is not None


def print_table(rows: list[dict[str, Any]]) -> None:
    """Prints CPU-seconds, in brackets relative to our decoder, and the parts of our CPU-seconds."""
    methods = [method for method in METHODS if any(method in row["cpu_seconds"] for row in rows)]
    print(f"{'CPU-seconds (times ours)':28}" + "".join(f"{method:>18}" for method in methods) + "   frames as full")
    for row in rows:
        costs = row["cpu_seconds"]
        cells = (f"{costs[m]:.3f} ({costs[m] / costs['reelbeam']:.2f}x)" if m in costs else "" for m in methods)
        same = "identical" if row["identical"] else "DIFFERENT"
        again = ", decoded again in full" if row["full_decodes"] else ""
        print(f"{row['video']:28}" + "".join(f"{cell:>18}" for cell in cells) + f"   {same}{again}")
    parts = list(rows[0]["parts"])
    print(f"\n{'where ours go, CPU-seconds':28}" + "".join(f"{part:>18}" for part in parts))
    for row in rows:
        print(f"{row['video']:28}" + "".join(f"{row['parts'][part]:>18.3f}" for part in parts))


if __name__ == "__main__":
    sys.exit(main())
