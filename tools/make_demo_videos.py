"""Writes the sample videos that come with the package: one for each label, each of another kind, and a broken one.

    python -m tools.make_demo_videos

They are what a first run reads, so between them they hold what a real folder holds: several containers, codecs, sizes
and frame rates, an upright phone video stored lying on its side, a variable frame rate, and a file cut off before its
index. Made again with the same versions, they come out the same, byte for byte.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from tools import motions

NTSC = Fraction(30000, 1001)


@dataclass(frozen=True)
class Sample:
    """How one sample is made."""

    name: str
    codec: str
    width: int  # as shown
    height: int
    fps: Fraction
    duration_seconds: float
    options: dict[str, str] = field(default_factory=dict)
    stored_turned: bool = False  # turned by a quarter in the file; the display matrix turns it back
    variable_rate: bool = False

    @property
    def label(self) -> str:
        """What the sample shows: its file's name."""
        return Path(self.name).stem.replace("_", " ")


X264 = {"crf": "24", "preset": "slow"} | motions.STEADY_X264
X265 = {"crf": "28", "preset": "medium", "x265-params": "pools=none:frame-threads=1:log-level=error"}
VP9 = {"crf": "38", "b": "0", "deadline": "good", "cpu-used": "2", "row-mt": "0"}
SAMPLES = (
    Sample("growing.mp4", "libx264", 320, 240, Fraction(24), 4.0, X264),
    Sample("moving_down.mkv", "libx264", 180, 320, Fraction(25), 5.0, X264),
    Sample("moving_left.mp4", "libx264", 320, 180, NTSC, 5.0, X264),
    Sample("moving_right.webm", "libvpx-vp9", 320, 180, Fraction(30), 4.0, VP9),
    Sample("moving_up.mp4", "libx264", 180, 320, Fraction(30), 4.0, X264, stored_turned=True),
    Sample("rotating_clockwise.mp4", "libx264", 240, 240, Fraction(60), 4.0, X264),
    Sample("rotating_counterclockwise.avi", "mpeg4", 192, 144, Fraction(25), 3.0, {"qscale": "6"}),
    Sample("shrinking.mp4", "libx265", 320, 180, Fraction(25), 4.0, X265),
    Sample("standing_still.mp4", "libx264", 320, 240, Fraction(30), 6.0, X264, variable_rate=True),
)


def make_sample(sample: Sample, folder: Path, seed: int) -> None:
    """Renders and encodes one sample."""
    rng = np.random.default_rng([seed, motions.LABELS.index(sample.label)])
    scene = motions.draw_scene(rng, sample.label, sample.duration_seconds, clutter=0.5)
    ticks = list(_draw_ticks(rng, sample))
    shown = (motions.render(scene, float(tick / sample.fps), sample.width, sample.height) for tick in ticks)
    motions.write_video(
        folder / sample.name,
        (_stored(sample, pixels) for pixels in shown),
        sample.fps,
        codec=sample.codec,
        options=sample.options,
        ticks=ticks,
        rotation_degrees=-90 if sample.stored_turned else 0,
    )


def _draw_ticks(rng: np.random.Generator, sample: Sample) -> Iterator[int]:
    """When the frames are shown, in 1 / fps: all of the moments, or, as phones and screen recorders do, only some."""
    tick, end = 0, round(sample.duration_seconds * sample.fps)
    while tick < end:
        yield tick
        tick += int(rng.integers(1, 4)) if sample.variable_rate else 1


def _stored(sample: Sample, pixels: motions.Frame) -> motions.Frame:
    """The pixels as they lie in the file."""
    return np.ascontiguousarray(np.rot90(pixels)) if sample.stored_turned else pixels


def make_broken(source: Path, path: Path) -> None:
    """Cuts a video off, as an interrupted upload does: an mp4's index, its moov, is written last."""
    content = source.read_bytes()
    path.write_bytes(content[: min(len(content) // 2, content.index(b"moov") - 4)])


def main() -> None:
    """Writes all of the samples and says how large they are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("pipeline/demo/videos"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    for sample in SAMPLES:
        make_sample(sample, args.output, args.seed)
    make_broken(args.output / "growing.mp4", args.output / "broken.mp4")
    for path in sorted(args.output.iterdir()):
        print(f"{path.stat().st_size:>8,} bytes  {path.name}")


if __name__ == "__main__":
    main()
