"""The frames and logits that this machine computes, against the recorded ones."""

from __future__ import annotations

from reelbeam.pipeline.doctor.findings import Finding, ok
from reelbeam.pipeline.doctor.reference import (
    CLIPS,
    DEMO_CLIP,
    GENERATED,
    RecordedFrames,
    RecordedLogits,
    decoded_clip,
    deviation,
    digest_of,
    generated_clip,
    largest_difference,
    logits_of,
    means_of,
    read_reference,
)
from reelbeam.pipeline.doctor.subject import Subject
from reelbeam.transforms.errors import MediaError
from reelbeam.transforms.models.engine import EngineName, Precision, accelerator_visible, choose_engine, with_found_kind
from reelbeam.transforms.models.registry import resolver
from reelbeam.transforms.models.registry.catalog import CATALOG, DEMO, ModelSpec

TOLERANCES: dict[Precision, float] = {"float32": 1e-4, "bfloat16": 0.05}
"""The largest deviation, see `reference.deviation`. Engines differ by 6e-7 in float32, and bfloat16 by 0.01 from it. A
change of all weights by a thousandth moves logits by 4e-3, so the weights are always tested in float32."""

_ROUNDING = 2
"""The largest difference of block means that other CPU instructions may cause."""
_RELATED = 0.2
"""The largest deviation by which a model is taken for a damaged copy of a recorded one, and not for another model."""
_REINSTALL = "reinstall it: pip install --force-reinstall --no-deps reelbeam"


def check_decoder(subject: Subject) -> Finding:
    """Decodes bundled clips and compares their frames."""
    recorded = {entry.video: entry for entry in read_reference().frames}
    wrong, close = [], []
    for video in CLIPS:
        entry = recorded[video]
        try:
            off = _difference(entry, subject)
        except MediaError as error:
            wrong.append(f"{entry.codec}: {error.code}: {error}")
            continue
        if off > _ROUNDING:
            wrong.append(f"{entry.codec}: frames differ by {off} of 255")
        elif off >= 0:
            close.append(entry.codec)
    codecs = ", ".join(recorded[video].codec for video in CLIPS)
    if wrong:
        return Finding(
            "error", "; ".join(wrong), "the recorded frames", "reinstall PyAV from its wheel: pip install av"
        )
    note = f"; {', '.join(close)} within rounding" if close else ""
    return ok(f"{codecs}: the recorded frames{note}")


def _difference(entry: RecordedFrames, subject: Subject) -> int:
    """Returns by how much the frames of a video differ from the recorded ones; -1 if they are equal."""
    frames = decoded_clip(entry.video, subject)
    return -1 if digest_of(frames) == entry.sha256 else largest_difference(means_of(frames), entry.means)


def check_demo(subject: Subject) -> Finding:
    """Runs the bundled model on the generated clip, and on a bundled clip through the decoder."""
    return judge_demo(CATALOG[DEMO], subject)


def judge_demo(spec: ModelSpec, subject: Subject) -> Finding:
    """Returns whether a model gives the recorded logits of the bundled model."""
    recorded = {entry.clip: entry for entry in read_reference().logits if entry.model == DEMO}
    found = _compare(spec, recorded[GENERATED], subject)
    if found.status != "ok":
        return found
    logits = logits_of(spec, decoded_clip(DEMO_CLIP, subject), subject.engine, "float32")
    off = deviation(logits, recorded[DEMO_CLIP].logits)
    if off > TOLERANCES["bfloat16"]:  # frames may differ within rounding
        expected = f"at most {TOLERANCES['bfloat16']:g}"
        return Finding(
            "error", f"logits of {DEMO_CLIP} deviate by {off:.2g}", expected, "run `reelbeam doctor decoder`"
        )
    return found


def check_model(subject: Subject) -> Finding:
    """Runs the model that is named, and compares its logits with recorded ones, if there are some."""
    spec = subject.spec()
    if not resolver.is_cached(spec.handle, spec.mirrors):
        remedy = f"run `reelbeam models fetch {subject.model}`"
        return Finding("warning", f"{spec.name} is not here: the first run fetches it", "a model in the cache", remedy)
    return judge_model(with_found_kind(spec), subject)


def judge_model(spec: ModelSpec, subject: Subject) -> Finding:
    """Returns whether a model runs here and gives the logits that are recorded for it."""
    preset = spec.preset
    logits = logits_of(spec, generated_clip(preset.num_frames, preset.size), subject.engine, "float32")
    shape = (spec.kind, preset.num_frames, preset.size, len(logits))
    alike = [
        entry
        for entry in read_reference().logits
        if entry.clip == GENERATED and (entry.kind, entry.num_frames, entry.size, len(entry.logits)) == shape
    ]
    named = [entry for entry in alike if entry.model == spec.name]
    nearest = min(named or alike, key=lambda entry: deviation(logits, entry.logits), default=None)
    if nearest is None or not (named or deviation(logits, nearest.logits) < _RELATED):
        return ok(f"{spec.name} was run: {len(logits)} classes; no logits are recorded for it")
    return _compare(spec, nearest, subject)


def _compare(spec: ModelSpec, recorded: RecordedLogits, subject: Subject) -> Finding:
    """Compares logits for the generated clip in float32, and as the model would run here."""
    frames = generated_clip(recorded.num_frames, recorded.size)
    texts = []
    for engine, precision, limit in _trials(choose_engine(subject.engine, spec), subject.precision):
        off = deviation(logits_of(spec, frames, engine, precision), recorded.logits)
        text = f"{engine} in {precision} deviates by {off:.1g} from the logits of {recorded.model}"
        if not off <= limit:
            remedy = (
                _REINSTALL if spec.name == DEMO else "fetch the model again, and compare its files with their source"
            )
            return Finding("error", f"{spec.name}: {text}", f"at most {limit:g}: other weights, or a CPU fault", remedy)
        texts.append(text)
    return ok("; ".join(texts))


def _trials(engine: EngineName, precision: Precision) -> list[tuple[EngineName, Precision, float]]:
    """Returns the engines and precisions to try, each with its largest deviation. The first one tests the weights."""
    exact, rounded = TOLERANCES["float32"], TOLERANCES["bfloat16"]
    if engine == "tensorflow" and accelerator_visible():  # a GPU may compute float32 with the 10 bits of TF32
        return [("openvino", "float32", exact), (engine, "float32", rounded)]
    more: list[tuple[EngineName, Precision, float]] = [(engine, "bfloat16", rounded)] if precision == "bfloat16" else []
    return [(engine, "float32", exact), *more]
