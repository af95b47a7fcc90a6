"""Train the bundled demo model: MoViNet-T0 Base on motion videos, exported with TF Hub's Base signature.

    python3 -m venv garden && garden/bin/pip install -r tools/requirements-train.txt
    garden/bin/python -m tools.train_demo_model

The published MoViNets know 600 human actions and are downloaded. The demo model knows the nine motions of
tools/motions.py and is part of the source, so a first run, the tests and the accuracy benchmark need no network. Its
clips have 8 frames at 4 fps, 64 x 64 pixels cropped from the center of a frame with a short side of 72.

Training clips are processed like real ones: frames are rendered at the size and rate of a source, encoded and decoded
as H.264, selected by time, and scaled by swscale. Mirroring and reversing yields more clips with other labels.
"""

import argparse
import concurrent.futures
import math
import os
import shutil
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

# The Model Garden needs Keras 2. A GPU is not needed: training takes minutes.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation

from tools import motions

NUM_FRAMES, SIZE, RESIZE = 8, 64, 72
SOURCE_RATES = (24.0, 25.0, 30000 / 1001, 30.0, 60.0)
SOURCE_SIZES = (96, 120, 144, 180, 240)
Clips = npt.NDArray[np.uint8]  # [N, T, H, W, 3]
Labels = npt.NDArray[np.int64]  # [N]


def make_clips(count: int, seed: int, processes: int) -> tuple[Clips, Labels]:
    """Renders clips in the order of increasing clutter: the first have a black background."""
    seeds = np.random.SeedSequence(seed).spawn(count)
    clutters = np.clip(np.linspace(-0.1, 1.5, count), 0, 1)
    labels = np.arange(count, dtype=np.int64) % len(motions.LABELS)
    clips = np.empty((count, NUM_FRAMES, SIZE, SIZE, 3), np.uint8)
    with concurrent.futures.ProcessPoolExecutor(processes) as pool:
        made = pool.map(make_clip, seeds, labels, clutters, chunksize=50)
        for index, clip in enumerate(made):
            clips[index] = clip
    return clips, labels


def make_clip(seed: np.random.SeedSequence, label: int, clutter: float) -> Clips:
    """Returns one decoded clip, uint8 [T, H, W, 3], of a video with random size, rate, duration and quality."""
    rng = np.random.default_rng(seed)
    # A few videos are shorter than a clip and loop.
    duration = float(rng.uniform(1, 2) if rng.uniform() < 0.05 else rng.uniform(2, 6))
    scene = motions.draw_scene(rng, motions.LABELS[label], duration, float(clutter))
    start = rng.uniform(0, max(duration - NUM_FRAMES / motions.CLIP_FPS, 0))
    side, rate = int(rng.choice(SOURCE_SIZES)), float(rng.choice(SOURCE_RATES))
    in_video = min(NUM_FRAMES, math.ceil(duration * motions.CLIP_FPS))
    times = [start + (k % in_video) / motions.CLIP_FPS for k in range(NUM_FRAMES)]
    # The frame shown at a time is the last one that began before it.
    shown = [math.floor(seconds * rate) / rate for seconds in times]
    pixels = [motions.render(scene, seconds, side, side) for seconds in shown]
    return np.stack([_resize_and_crop(frame) for frame in _through_h264(pixels, int(rng.integers(17, 33)))])


def _through_h264(frames: list[motions.Frame], crf: int) -> list[av.VideoFrame]:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width = frames[0].shape[:2]
    encoder.pix_fmt, encoder.time_base, encoder.thread_count = "yuv420p", Fraction(1, 25), 1
    encoder.options = {"crf": str(crf), "preset": "veryfast"}
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    packets = []
    for index, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts = index
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return [frame for packet in [*packets, None] for frame in decoder.decode(packet)]


def _resize_and_crop(frame: av.VideoFrame) -> Clips:
    scaled = frame.reformat(RESIZE, RESIZE, format="rgb24", interpolation=Interpolation.BILINEAR)
    margin = (RESIZE - SIZE) // 2
    return scaled.to_ndarray().astype(np.uint8, copy=False)[margin : margin + SIZE, margin : margin + SIZE]


def _relabel(*swaps: tuple[str, str]) -> Labels:
    """Returns the class ids after swapping these pairs of labels."""
    ids = np.arange(len(motions.LABELS))
    for first, second in swaps:
        a, b = motions.LABELS.index(first), motions.LABELS.index(second)
        ids[[a, b]] = ids[[b, a]]
    return ids


LEFT_RIGHT = ("moving left", "moving right")
UP_DOWN = ("moving up", "moving down")
SENSE = ("rotating clockwise", "rotating counterclockwise")
# Transformations of [T, H, W, 3] that change the action: the order of the axes, the steps along them, the new labels.
CHANGES: tuple[tuple[tuple[int, ...], tuple[int, ...], Labels], ...] = (
    ((0, 1, 2, 3), (1, 1, -1, 1), _relabel(LEFT_RIGHT, SENSE)),
    ((0, 1, 2, 3), (1, -1, 1, 1), _relabel(UP_DOWN, SENSE)),
    (
        (0, 2, 1, 3),
        (1, 1, 1, 1),
        _relabel(("moving left", "moving up"), ("moving right", "moving down"), SENSE),
    ),
    (
        (0, 1, 2, 3),
        (-1, 1, 1, 1),
        _relabel(LEFT_RIGHT, UP_DOWN, SENSE, ("growing", "shrinking")),
    ),
)


def augment(rng: np.random.Generator, clip: Clips, label: int) -> tuple[npt.NDArray[np.float32], int]:
    """Returns a transformed clip as the model's float32 input in [0, 1], and its label."""
    for axes, steps, labels in CHANGES:
        if rng.uniform() < 0.5:
            clip = clip.transpose(axes)[tuple(slice(None, None, step) for step in steps)]
            label = int(labels[label])
    image = clip[..., rng.permutation(3)].astype(np.float32) / np.float32(255)
    image = image * np.float32(rng.uniform(0.8, 1.1)) + np.float32(rng.uniform(-0.02, 0.05))
    image += rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(0, 0.02))
    return np.clip(image, 0, 1), label


def batches(clips: Clips, labels: Labels, args: argparse.Namespace) -> Iterator[tuple[Any, Any]]:
    """Yields one batch per step, at first from clips with little clutter, without which training does not converge."""
    rng = np.random.default_rng(args.seed + 1)
    for step in range(args.steps + 1):
        known = min(1.0, 0.15 + step / (args.widen_until * args.steps))
        picked = rng.integers(0, int(known * len(clips)), args.batch_size)
        pairs = [augment(rng, clips[index], int(labels[index])) for index in picked]
        yield np.stack([image for image, _ in pairs]), np.array([label for _, label in pairs])


def build_model() -> Any:
    """Returns MoViNet-T0 Base of the Model Garden, for inputs of any size."""
    import tensorflow as tf
    from official.projects.movinet.modeling import movinet, movinet_model  # type: ignore[import-not-found]

    shape = tf.keras.layers.InputSpec(shape=(None, None, None, None, 3))
    # As in the Model Garden's exporter: a swish without a custom gradient, which a SavedModel cannot store, and
    # separate convolutions in space and time, because Conv3D is slow on CPUs.
    backbone = movinet.Movinet(
        model_id="t0",
        causal=False,
        conv_type="2plus1d",
        input_specs=shape,
        activation="simple_swish",
        use_sync_bn=False,
    )
    model = movinet_model.MovinetClassifier(
        backbone, len(motions.LABELS), input_specs={"image": shape}, activation="simple_swish"
    )
    model(tf.zeros((1, NUM_FRAMES, SIZE, SIZE, 3)))
    return model


def train(model: Any, clips: Clips, labels: Labels, args: argparse.Namespace) -> None:
    """Trains the model, and regularly prints progress and writes checkpoints."""
    import tensorflow as tf

    rates = tf.keras.optimizers.schedules.CosineDecay(
        0.0, args.steps, warmup_target=args.learning_rate, warmup_steps=100, alpha=0.0
    )
    optimizer = tf.keras.optimizers.Adam(rates, clipnorm=1.0)
    to_loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def train_step(images: Any, targets: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = to_loss(targets, logits)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss, tf.reduce_mean(tf.cast(tf.argmax(logits, -1) == targets, tf.float32))

    image_spec = tf.TensorSpec((args.batch_size, NUM_FRAMES, SIZE, SIZE, 3), tf.float32)
    label_spec = tf.TensorSpec((args.batch_size,), tf.int64)
    data = tf.data.Dataset.from_generator(
        lambda: batches(clips, labels, args), output_signature=(image_spec, label_spec)
    )
    began, sums = time.monotonic(), np.zeros(2)
    for step, (images, targets) in enumerate(data.take(args.steps).prefetch(4), start=1):
        sums += [float(value) for value in train_step(images, targets)]
        if step % args.log_every == 0:
            loss, accuracy = sums / args.log_every
            seconds = time.monotonic() - began
            print(f"{step=} {seconds=:.0f} {loss=:.3f} {accuracy=:.3f}", flush=True)
            sums[:] = 0
        if args.checkpoint and step % args.checkpoint_every == 0:
            model.save_weights(str(args.checkpoint))


def evaluate(model: Any, clips: Clips, labels: Labels) -> float:
    """Returns the accuracy of the model."""
    right = 0
    for start in range(0, len(clips), 50):
        images = clips[start : start + 50].astype(np.float32) / np.float32(255)
        logits = model(images, training=False).numpy()
        right += int((logits.argmax(-1) == labels[start : start + 50]).sum())
    return right / len(clips)


def export(model: Any, folder: Path) -> None:
    """Writes the SavedModel: the signature and the weights, without the metadata of Keras."""
    import tensorflow as tf

    def classify(image: Any) -> dict[str, Any]:
        return {"classifier_head": model(image, training=False)}

    module = tf.Module()
    module.weights = model.weights
    image = tf.TensorSpec((None, None, None, None, 3), tf.float32, name="image")
    signature = tf.function(classify).get_concrete_function(image)
    shutil.rmtree(folder, ignore_errors=True)
    tf.saved_model.save(
        module,
        str(folder),
        signatures={"serving_default": signature},
        options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
    )
    (folder / "assets").rmdir()  # empty, and git does not store empty folders
    (folder / "labels.txt").write_text("\n".join(motions.LABELS) + "\n")


def main() -> None:
    """Renders clips, trains, evaluates and exports the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output", type=Path, default=Path("transforms/models/registry/demo"), help="the folder; replaced"
    )
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--clips", type=int, default=8000, help="number of training clips")
    parser.add_argument("--widen-until", type=float, default=0.4, help="share of the steps until all clips are used")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2, help="number of processes that render clips")
    parser.add_argument("--checkpoint", type=Path, help="path of the checkpoints of the weights")
    parser.add_argument("--checkpoint-every", type=int, default=200)
    parser.add_argument("--log-every", type=int, default=50)
    parser.add_argument("--restore", action="store_true", help="export the checkpoint; no training")
    args = parser.parse_args()

    clips, labels = (None, None) if args.restore else make_clips(args.clips, args.seed, args.processes)
    import tensorflow as tf

    tf.keras.utils.set_random_seed(args.seed)
    model = build_model()
    if clips is None or labels is None:
        model.load_weights(str(args.checkpoint))
    else:
        train(model, clips, labels, args)
    held_out = make_clips(900, args.seed + 1_000_000, args.processes)
    print(f"accuracy on held-out clips: {evaluate(model, *held_out):.4f}")
    export(model, args.output)


if __name__ == "__main__":
    main()
