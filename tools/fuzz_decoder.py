"""Probe and decode mutated videos in the sandbox, and count the results.

    python tools/fuzz_decoder.py --files 2000 --seed 1 [--keep FOLDER]

The seed files are generated, in many containers and codecs. Headers, indexes and payload are mutated by a random
generator that depends only on the seed and the number of the file. Files that crash the decoder process or exceed its
deadline are listed, and kept in FOLDER. They are defects of FFmpeg, which the sandbox contains. The exit code is 1 for
our own defects: an exception in our code, or an invalid message. Any error other than MediaError ends the program.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import os
import pathlib
import random
import struct
import sys
import tempfile
import time
from fractions import Fraction

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import data_generation as generate  # noqa: E402

from reelbeam.transforms.errors import DecoderFailedError, DecoderOutOfMemoryError, MediaError  # noqa: E402
from reelbeam.transforms.media.decoding.picture import Geometry  # noqa: E402
from reelbeam.transforms.media.limits import DecoderLimits  # noqa: E402
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling  # noqa: E402
from reelbeam.transforms.media.sampling.clips import plan_clip_spans  # noqa: E402
from reelbeam.transforms.media.sandbox import sandboxed  # noqa: E402

LIMITS = DecoderLimits(deadline_seconds=20, max_duration_seconds=3600)
SAMPLING = ClipSampling(8, Fraction(5), clips_per_video=6)
GEOMETRY = Geometry(72, 64)
SEEDS = {
    "h264.mp4": {"codec": "libx264", "b_frames": 2, "rotation": 90},
    "fast.mp4": {"codec": "libx264", "b_frames": 2, "container_options": {"movflags": "faststart"}},
    "fragmented.mp4": {"codec": "libx264", "container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none"}},
    "mjpeg.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "h264.mkv": {"codec": "libx264", "b_frames": 2},
    "av1.mkv": {"codec": "libsvtav1", "options": {"preset": "12"}},
    "ffv1.mkv": {"codec": "ffv1"},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "vp8.ivf": {"codec": "libvpx"},
    "mpeg4.avi": {"codec": "mpeg4", "b_frames": 2},
    "h264.ts": {"codec": "libx264", "b_frames": 2},
    "mpeg2.mpg": {"codec": "mpeg2video", "b_frames": 2},
    "mpeg2.mxf": {"codec": "mpeg2video"},
    "h264.flv": {"codec": "libx264"},
    "wmv2.wmv": {"codec": "wmv2"},
    "raw.h264": {"codec": "libx264"},
    "gif.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "mpeg4.nut": {"codec": "mpeg4"},
    "raw.y4m": {"codec": "rawvideo", "width": 32, "height": 32},
}
_EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def make_seeds(folder: pathlib.Path) -> list[tuple[str, bytes]]:
    """Writes each seed and returns (name, bytes)."""
    os.environ.setdefault("SVT_LOG", "-1")  # silences the AV1 encoder
    seeds = []
    for name, options in SEEDS.items():
        path = generate.make_video(folder / name, 60, 25, **options)  # type: ignore[arg-type]
        seeds.append((name, path.read_bytes()))
    return seeds


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Returns `data` with one to eight changes in one of its regions."""
    size = len(data)
    index = max(data.rfind(b"moov"), data.rfind(b"\x1c\x53\xbb\x6b"), data.rfind(b"idx1"), size * 9 // 10)
    start, end = chance.choice([(0, min(1024, size)), (index, size), (0, size)])
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        _change(changed, chance.randint(start, max(min(end, len(changed)) - 1, start)), chance)
    return bytes(changed) or b"\0"


def _change(data: bytearray, at: int, chance: random.Random) -> None:
    length = chance.choice([1, 2, 4, 16, 200])
    kind = chance.choice(["bit", "bit", "bytes", "extreme", "extreme", "fill", "delete", "repeat", "insert", "cut"])
    if kind == "bit" and at < len(data):
        data[at] ^= 1 << chance.randrange(8)
    elif kind == "bytes":
        data[at : at + length] = chance.randbytes(length)
    elif kind == "extreme":
        layout = chance.choice([">I", "<I", ">H", "<H", ">Q"])
        size = struct.calcsize(layout)
        data[at : at + size] = struct.pack(layout, chance.choice(_EXTREMES) & (256**size - 1))
    elif kind == "fill":
        data[at : at + length] = chance.choice([b"\0", b"\xff"]) * length
    elif kind == "delete":
        del data[at : at + length]
    elif kind == "repeat":
        data[at:at] = data[at : at + length] * chance.choice([1, 2, 50])
    elif kind == "insert":
        data[at:at] = chance.randbytes(length)
    elif kind == "cut" and chance.random() < 0.2:
        del data[at:]


def outcome(path: pathlib.Path) -> tuple[str, str]:
    """Returns the result of a file, "ok" or an error code with "partial" as its prefix, and the error's message."""
    num_clips = 0
    try:
        media = sandboxed.probe(path, LIMITS)
        spans = plan_clip_spans(media.duration_seconds, SAMPLING)
        for _, frames in sandboxed.decode_clips(path, media, spans, GEOMETRY, LIMITS):
            assert frames.shape == (8, 64, 64, 3)
            num_clips += 1
    except MediaError as error:
        prefix = "partial " if num_clips else ""
        suffix = "" if type(error) is DecoderOutOfMemoryError or not isinstance(error, DecoderFailedError) else " (!)"
        return f"{prefix}{error.code}{suffix}", str(error)
    return "ok", ""


def run(args: argparse.Namespace, folder: pathlib.Path) -> int:
    """Mutates and decodes the files, and prints the results. Returns the exit code."""
    seeds = make_seeds(folder)
    table: dict[str, collections.Counter[str]] = {name: collections.Counter() for name, _ in seeds}
    slowest = (0.0, "")
    defects = []

    def one(number: int) -> tuple[str, int, str, str, float]:
        name, data = seeds[number % len(seeds)]
        path = folder / f"{number}-{name}"
        path.write_bytes(mutate(data, random.Random(f"{args.seed} {number}")))
        start = time.monotonic()
        code, message = outcome(path)
        seconds = time.monotonic() - start
        if args.keep and "(!)" in code:
            (args.keep / path.name).write_bytes(path.read_bytes())
        path.unlink()
        return name, number, code, message, seconds

    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(args.threads) as pool:
        for name, number, code, message, seconds in pool.map(one, range(args.first, args.first + args.files)):
            table[name][code] += 1
            slowest = max(slowest, (seconds, f"{number}-{name}"))
            if "(!)" in code:
                defects.append(f"{number}-{name}: {message}")
    _print(table, time.monotonic() - started, slowest)
    print("\n".join(defects))
    ours = ("the decoder process failed with", "the decoder sent an invalid message")
    return int(any(text in defect for defect in defects for text in ours))


def _print(table: dict[str, collections.Counter[str]], seconds: float, slowest: tuple[float, str]) -> None:
    total: collections.Counter[str] = sum(table.values(), collections.Counter())
    codes = [code for code, _ in total.most_common()]
    for row, counts in [*table.items(), ("all", total)]:
        print(f"{row:16}" + "  ".join(f"{code} {counts[code]}" for code in codes if counts[code]))
    print(f"{total.total()} files, {seconds:.0f} s; slowest {slowest[0]:.1f} s ({slowest[1]})")


def main() -> int:
    """Parses the flags and runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file, to repeat a single one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=pathlib.Path, metavar="FOLDER", help="keep the files that reveal defects")
    args = parser.parse_args()
    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="reelbeam-fuzz-") as folder:
        return run(args, pathlib.Path(folder))


if __name__ == "__main__":
    sys.exit(main())
