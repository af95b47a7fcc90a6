"""Write the bundled sample videos: one for each label, each of another kind, and a broken one.

    python -m tools.make_demo_videos

They resemble a real folder: several containers, codecs, sizes and frame rates, an upright phone video that is stored
rotated, a variable frame rate, and a file that is truncated before its index. With the same versions of the libraries,
the files are the same, byte for byte.
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
    """The parameters of one sample."""

    name: str
    codec: str
    width: int  # as shown
    height: int
    fps: Fraction
    duration_seconds: float
    options: dict[str, str] = field(default_factory=dict)
    stored_turned: bool = False  # rotated by 90° in the file; the display matrix reverts it
    variable_rate: bool = False

    @property
    def label(self) -> str:
        """The label of the sample, from its file name."""
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
    """Yields the display times of frames in units of 1 / fps; with a variable rate, some are omitted."""
    tick, end = 0, round(sample.duration_seconds * sample.fps)
    while tick < end:
        yield tick
        tick += int(rng.integers(1, 4)) if sample.variable_rate else 1


def _stored(sample: Sample, pixels: motions.Frame) -> motions.Frame:
    """Returns the pixels as stored in the file."""
    return np.ascontiguousarray(np.rot90(pixels)) if sample.stored_turned else pixels


def make_broken(source: Path, path: Path) -> None:
    """Truncates a video before its index (moov), which is at the end of an MP4, like an interrupted upload."""
    content = source.read_bytes()
    path.write_bytes(content[: min(len(content) // 2, content.index(b"moov") - 4)])


def main() -> None:
    """Writes all samples and prints their sizes."""
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
