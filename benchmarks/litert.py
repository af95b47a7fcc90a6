"""Compare Stream models on LiteRT, the runtime for which they were designed, with our engine.

    python -m benchmarks.litert a0-stream=FOLDER [--runs N]

TensorFlow converts the SavedModel's `call` signature with the shapes of one chunk. It runs on one thread with XNNPACK,
alternating with our OpenVINO engine on the same frames. Results are the mean CPU-seconds per clip of the fastest third.
Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.clips import named_models
from benchmarks.inference import cpu_seconds, fastest
from reelbeam.transforms.models.engines.stream import StreamSignatures, find_stream_signatures
from reelbeam.transforms.models.loading import load_stream_engine
from reelbeam.transforms.models.registry import resolver
from reelbeam.transforms.models.registry.catalog import ModelSpec


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME[=FOLDER]")
    parser.add_argument("--runs", type=int, default=15)
    args = parser.parse_args()
    print("| model | OpenVINO, CPU s a clip | LiteRT | LiteRT / OpenVINO | largest logit difference |")
    print("|---|---|---|---|---|")
    for spec in named_models(args.models):
        ours, theirs, difference = measure(spec, args.runs)
        print(f"| {spec.name} | {ours:.4f} | {theirs:.4f} | {theirs / ours:.2f} | {difference:.1e} |", flush=True)


def measure(spec: ModelSpec, runs: int) -> tuple[float, float, float]:
    """Returns the CPU-seconds of a clip on OpenVINO and on LiteRT, and the difference of the first chunk's logits."""
    engine = load_stream_engine(spec, "openvino", 1)
    chunks = spec.preset.num_frames // engine.chunk_frames
    shape = (1, engine.chunk_frames, spec.preset.size, spec.preset.size, 3)
    frames = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    state = engine.initial_state()
    litert = _interpreter(spec, shape, frames)
    difference = float(np.abs(litert() - engine.classify_next([state], frames)[0]).max())
    ours, theirs = [], []
    for _ in range(runs):
        ours.append(cpu_seconds(lambda chunk: engine.classify_next([state], chunk), frames))
        theirs.append(cpu_seconds(lambda _: litert(), frames))
    return fastest(ours) * chunks, fastest(theirs) * chunks, difference


def _interpreter(spec: ModelSpec, shape: tuple[int, ...], frames: np.ndarray) -> Callable[[], np.ndarray]:
    """Returns a function that runs the model on LiteRT and returns its logits."""
    from ai_edge_litert.interpreter import Interpreter

    signatures = find_stream_signatures(resolver.resolve(spec.handle), spec.preset)
    content, states = _convert(spec, signatures, shape)
    interpreter = Interpreter(model_content=content, num_threads=1)
    runner = interpreter.get_signature_runner()
    image = (frames / np.float32(255)).astype(np.float32)
    inputs = {**states, signatures.image.name: image}
    return lambda: runner(**inputs)[signatures.logits]


def _convert(
    spec: ModelSpec, signatures: StreamSignatures, shape: tuple[int, ...]
) -> tuple[bytes, dict[str, np.ndarray]]:
    """Returns the model for one chunk as a LiteRT file, and its initial states."""
    import tensorflow as tf

    loaded: Any = tf.saved_model.load(str(resolver.resolve(spec.handle)))
    call, init = loaded.signatures[signatures.call], loaded.signatures[signatures.init]
    states = init(**{signatures.input_shape: tf.constant(shape, tf.int32)})
    specs = {name: tf.TensorSpec(state.shape, state.dtype, name) for name, state in states.items()}
    specs[signatures.image.name] = tf.TensorSpec(shape, tf.float32, signatures.image.name)
    function = tf.function(lambda **inputs: call(**inputs)).get_concrete_function(**specs)
    content = tf.lite.TFLiteConverter.from_concrete_functions([function], loaded).convert()
    return content, {name: state.numpy() for name, state in states.items()}


if __name__ == "__main__":
    main()
