"""Write pipeline/doctor/reference.json: the frames and logits with which `reelbeam doctor` compares.

    python -m tools.make_reference                 records the bundled clips and the bundled model again
    python -m tools.make_reference MODEL [FLAGS]   adds a model, or replaces it: a name of the catalog, or a folder with
                                                   the flags that describe it; NAME=FOLDER names it

TensorFlow computes the logits in float32, because it runs the SavedModel as it is.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys

from reelbeam.pipeline.doctor.reference import (
    CLIPS,
    DEMO_CLIP,
    GENERATED,
    REFERENCE_FILE,
    Frames,
    RecordedFrames,
    RecordedLogits,
    Reference,
    decoded_clip,
    digest_of,
    generated_clip,
    logits_of,
    means_of,
    read_reference,
)
from reelbeam.pipeline.doctor.sandboxing import limits_of
from reelbeam.pipeline.doctor.subject import Subject
from reelbeam.pipeline.flags.model_flags import to_model_spec
from reelbeam.pipeline.flags.parser import make_parser
from reelbeam.pipeline.settings.declaration import Group
from reelbeam.pipeline.settings.model_settings import ModelDescription
from reelbeam.transforms.media.sandbox import sandboxed
from reelbeam.transforms.models.registry.catalog import CATALOG, DEMO, ModelSpec
from reelbeam.transforms.typed_json import to_json

ROOT = pathlib.Path(__file__).resolve().parents[1]
FILE = ROOT / "pipeline" / "doctor" / REFERENCE_FILE


def main() -> None:
    """Records the bundled model, or one more model."""
    if sys.argv[1:]:
        reference = read_reference()
        added = record_logits(_named_model(sys.argv[1], sys.argv[2:]))
        others = [entry for entry in reference.logits if entry.model != added.model]
        reference = dataclasses.replace(reference, logits=(*others, added))
    else:
        reference = _bundled()
    parts = {"frames": reference.frames, "logits": reference.logits}
    texts = (
        f'"{name}": [\n' + ",\n".join(json.dumps(to_json(x)) for x in part) + "\n]" for name, part in parts.items()
    )
    FILE.write_text("{" + ",\n".join(texts) + "}\n", "utf-8")


def _named_model(name: str, flags: list[str]) -> ModelSpec:
    shown, _, place = name.rpartition("=")
    parser = make_parser("make_reference", "Record a model.", [Group("", (ModelDescription,))])
    args = parser.parse_args(flags)
    args.model = place
    spec = to_model_spec(args)
    return dataclasses.replace(spec, name=shown or spec.name)


def _bundled() -> Reference:
    kept = [entry for entry in read_reference().logits if entry.model != DEMO] if FILE.exists() else []
    demo = CATALOG[DEMO]
    clip = record_logits(demo, DEMO_CLIP, decoded_clip(DEMO_CLIP, Subject()))
    return Reference(tuple(map(_frames, CLIPS)), (record_logits(demo), clip, *kept))


def _frames(video: str) -> RecordedFrames:
    frames = decoded_clip(video, Subject())
    path = ROOT / "pipeline" / "demo" / "videos" / video
    return RecordedFrames(
        video, sandboxed.probe(str(path), limits_of(Subject())).codec, digest_of(frames), means_of(frames)
    )


def record_logits(spec: ModelSpec, clip: str = GENERATED, frames: Frames | None = None) -> RecordedLogits:
    """Returns the logits of a model for the generated clip, or for other frames."""
    num_frames, size = spec.preset.num_frames, spec.preset.size
    shown = generated_clip(num_frames, size) if frames is None else frames
    logits = logits_of(spec, shown, "tensorflow", "float32")
    return RecordedLogits(spec.name, clip, spec.kind, num_frames, size, tuple(round(float(x), 6) for x in logits))


if __name__ == "__main__":
    main()
