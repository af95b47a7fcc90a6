"""load_model: a model that classifies arrays of frames."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from types import TracebackType
from typing import Unpack

import numpy as np
import numpy.typing as npt

from reelbeam.pipeline.api.decoded_clip import DecodedClip
from reelbeam.pipeline.api.options import ModelOptions, checked
from reelbeam.pipeline.api.preparation import errors_of_options, load_checked, prepare
from reelbeam.transforms.errors import InferenceError
from reelbeam.transforms.labeling.clip_classifier import ClipClassifier
from reelbeam.transforms.labeling.row_types import ClipLabel
from reelbeam.transforms.models.classifier_config import ClassifierConfig
from reelbeam.transforms.models.engine import Engine, check_embeddings
from reelbeam.transforms.models.engines.stream import StreamEngine
from reelbeam.transforms.models.registry.catalog import Preset
from reelbeam.transforms.models.scores import to_scores, top_labels
from reelbeam.transforms.records import Clip, ClipSpan


@dataclasses.dataclass(frozen=True, eq=False)
class ClassifiedClip:
    """The scores of one clip.

    Attributes:
      labels: `label`, `class_id` and `score` of the best classes, best first, by `top_k`, `min_score`, `thresholds`.
      scores: the scores of all classes in [0, 1], float32 [C].
      embedding: the activations before the classifier, float32 [D]; None unless requested.
    """

    labels: tuple[ClipLabel, ...]
    scores: npt.NDArray[np.float32]
    embedding: npt.NDArray[np.float32] | None = None

    def __repr__(self) -> str:
        return f"ClassifiedClip({', '.join(f'{found.label} {found.score:.2f}' for found in self.labels)})"


class Model:
    """A loaded model, see `load_model`. Threads may share it. A context manager, which closes it.

    Attributes:
      preset: the clips that it takes: `num_frames`, `target_fps` (a Fraction), `resize` and `size`.
      labels: its classes, [C], by class id.
      kind: "base" or "stream".
    """

    def __init__(self, config: ClassifierConfig) -> None:
        self._config = config
        self._engine: Engine | StreamEngine | None = load_checked(config)
        self.preset: Preset = config.model.preset
        self.labels = config.labels
        self.kind = config.model.kind

    def __repr__(self) -> str:
        state = "closed" if self._engine is None else self._engine.name
        return f"Model({self._config.model.name}, {len(self.labels)} labels, {state})"

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Frees the model, unless another Model or a call of `label` uses it. Closing it again does nothing."""
        self._engine = None

    def classify(
        self, clips: npt.NDArray[np.uint8] | Iterable[DecodedClip], *, with_embeddings: bool = False
    ) -> list[ClassifiedClip]:
        """Returns the result of each clip, in order.

        A Stream model sees each clip from an empty state, as `label` does it without `carry_state`.

        Args:
          clips: uint8 [N, T, H, W, 3], RGB; T, H and W as in the preset, but a Stream model takes any T of at least 1.
            Or the clips of `decode_clips`, which are read as they are needed.
          with_embeddings: whether results have embeddings.

        Raises:
          ValueError: the model is closed, or an array has another type or shape.
          ConfigError: the model has no embeddings.
          InferenceError: the engine failed on a clip.
        """
        if self._engine is None:
            raise ValueError("the model is closed: load it again")
        if with_embeddings:
            with errors_of_options():
                check_embeddings(self._engine, self._config.model)
        classifier = ClipClassifier(dataclasses.replace(self._config, outputs=("embedding",) * with_embeddings))
        results: list[ClassifiedClip] = []
        found = self._clips(clips)
        while batch := list(itertools.islice(found, self._config.max_batch_clips)):
            results += self._classified(batch, classifier, self._engine)
        return results

    def _clips(self, given: npt.NDArray[np.uint8] | Iterable[DecodedClip]) -> Iterator[Clip]:
        if isinstance(given, np.ndarray) and given.ndim != 5:
            size = self.preset.size
            raise ValueError(f"clips must be uint8 [N, T, {size}, {size}, 3], not {given.dtype} {list(given.shape)}")
        for number, clip in enumerate(given):
            frames = clip.frames if isinstance(clip, DecodedClip) else clip
            if not isinstance(frames, np.ndarray):
                raise ValueError(f"clip {number} is of type {type(clip).__name__}: pass an array or a DecodedClip")
            self._check(frames, number)
            yield Clip("", 0, _span(number, len(frames)), frames)

    def _check(self, frames: npt.NDArray[np.uint8], number: int) -> None:
        size, wanted = self.preset.size, self.preset.num_frames
        length = frames.shape[0] if frames.ndim == 4 else 0
        fits = length >= 1 if self.kind == "stream" else length == wanted
        if frames.dtype != np.uint8 or frames.shape[1:] != (size, size, 3) or not fits:
            frame_count = "T" if self.kind == "stream" else wanted
            raise ValueError(
                f"clip {number} must be uint8 [{frame_count}, {size}, {size}, 3], RGB from 0 to 255, not "
                f"{frames.dtype} {list(frames.shape)}"
            )

    def _classified(
        self, batch: Sequence[Clip], classifier: ClipClassifier, engine: Engine | StreamEngine
    ) -> Iterator[ClassifiedClip]:
        config = self._config
        for clip, answer in zip(batch, classifier.answers(batch, engine), strict=True):
            try:
                if isinstance(answer, InferenceError):
                    raise answer
                scores = to_scores(answer.logits[None], engine.output_activation)[0]
            except InferenceError as error:
                raise type(error)(f"the model failed on clip {clip.span.clip_index}: {error}") from error
            labels = top_labels(scores, config.labels, config.kept)
            yield ClassifiedClip(
                tuple(ClipLabel(found.label, found.class_id, found.score) for found in labels), scores, answer.embedding
            )


def load_model(name: str | os.PathLike[str], **options: Unpack[ModelOptions]) -> Model:
    """Loads a model for clips that are arrays.

        with reelbeam.load_model("a0-base") as model:
            for found in model.classify(reelbeam.decode_clips("a.mp4", model=model)):
                print(found.labels[0].label, found.labels[0].score)

    A process has one copy of a model: another call with the same name and options, and a call of `label`, uses the
    copy that is loaded.

    Args:
      name: a catalog name (`reelbeam models` lists them), a URL, or a folder, local or in an object store. The model is
        fetched if it is not on this machine.
      options: see `ModelOptions`. They have the names and the defaults of the flags of `reelbeam label`. The engine
        "auto" depends on the devices of this machine.

    Raises:
      TypeError: an option does not exist.
      ConfigError: an option is out of range, or options do not fit each other.
      ModelError: the model or its labels cannot be used.
    """
    with errors_of_options():
        values = checked(options, ModelOptions.__annotations__)
    given = {key: value for key, value in values.items() if key in options}
    return Model(prepare(name, given, runs_here=True).config.classifier)


def _span(number: int, num_frames: int) -> ClipSpan:
    """Returns the span of a clip that continues no other."""
    return ClipSpan(number, Fraction(0), Fraction(num_frames), Fraction(1), tuple(range(num_frames)), num_frames)
