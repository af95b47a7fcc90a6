"""ClipClassifier: runs clips through a model, and turns its outputs into labels and scores."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import cast

import numpy as np

from reelbeam.transforms.errors import InferenceError, PredecessorLostError
from reelbeam.transforms.models.batches import Answer, BaseBatches
from reelbeam.transforms.models.classifier_config import ClassifierConfig
from reelbeam.transforms.models.crops import crops_of, joined
from reelbeam.transforms.models.engine import Engine
from reelbeam.transforms.models.engines.stream import StreamEngine
from reelbeam.transforms.models.loading import LoadEngine, load_any_engine
from reelbeam.transforms.models.registry.catalog import OutputActivation
from reelbeam.transforms.models.registry.label_map import LabelMap
from reelbeam.transforms.models.scores import entropy, log_sum_exp, may_be_softmax, to_logits, to_scores, top_labels
from reelbeam.transforms.models.stream_batches import StreamBatches
from reelbeam.transforms.records import Clip, ClipScores, Failure
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.stored_models.fetching import localized


class ClipClassifier:
    """Loads a model, and classifies clips with it. Threads may share it.

    Args:
      config: the model, and how it is used.
      load: loads the engine.
    """

    def __init__(self, config: ClassifierConfig, load: LoadEngine = load_any_engine) -> None:
        self._config = config
        self._load = load
        with_embeddings = "embedding" in config.outputs
        self._base = BaseBatches(config.max_batch_crops, with_embeddings)
        self._stream = StreamBatches(config.max_batch_crops, with_embeddings)

    def load(self) -> Engine | StreamEngine:
        """Loads the engine, once per process while it is referenced.

        Raises:
          ModelError: it cannot be fetched or loaded, or the number of its classes is not the number of labels.
        """
        config = self._config
        engine = self._load(localized(config.model), config.engine, config.num_threads, config.precision)
        LabelMap(config.labels, without_query(config.model.labels)).check(engine.num_classes)
        return engine

    def classify(self, batch: Sequence[Clip], model: Engine | StreamEngine) -> list[ClipScores | Failure]:
        """Returns scores or a failure for each clip of the batch, in order, without its pixels."""
        answers = self.answers(batch, model)
        activation = model.output_activation
        return [self._to_result(clip, answer, activation) for clip, answer in zip(batch, answers, strict=True)]

    def answers(self, batch: Sequence[Clip], model: Engine | StreamEngine) -> list[Answer | InferenceError]:
        """Returns the model's outputs or an error for each clip of the batch, in order."""
        num_crops, activation = self._config.num_crops, model.output_activation
        answers = self._of_crops(crops_of(batch, num_crops), model)
        if (self._config.model.output_activation, activation) == ("auto", "logits"):
            _warn_if_scores(answers)
        return joined(answers, num_crops, activation)

    def _of_crops(self, crops: Sequence[Clip], model: Engine | StreamEngine) -> list[Answer | InferenceError]:
        if self._config.model.kind == "stream":
            return self._stream.classify(crops, cast(StreamEngine, model))
        return self._base.classify(crops, cast(Engine, model))

    def _to_result(
        self, clip: Clip, answer: Answer | InferenceError, activation: OutputActivation
    ) -> ClipScores | Failure:
        if isinstance(answer, InferenceError):
            return _failure(clip, answer)
        try:
            scores = to_scores(answer.logits[None], activation)[0]
        except InferenceError as error:
            return _failure(clip, error)
        config = self._config
        logits = to_logits(answer.logits, activation)
        return ClipScores(
            clip.video_uri,
            clip.segment_index,
            clip.span,
            labels=top_labels(scores, config.labels, config.kept),
            entropy=entropy(scores, activation),
            log_sum_exp=log_sum_exp(logits),
            scores=scores,
            logits=logits.astype(np.float16) if "logits" in config.outputs else None,
            embedding=answer.embedding.astype(np.float16) if answer.embedding is not None else None,
            time_range=clip.time_range,
        )


def _warn_if_scores(answers: Sequence[Answer | InferenceError]) -> None:
    if any(isinstance(answer, Answer) and may_be_softmax(answer.logits[None]) for answer in answers):
        _warn_of_scores()


@functools.cache
def _warn_of_scores() -> None:
    """Warns, once per process, that the model's outputs may be scores: its graph may spell out a softmax."""
    logging.getLogger(__name__).warning(
        "the model's outputs are not negative and sum to 1, as scores do, but its graph shows no softmax at its end: "
        "pass --output_activation softmax if they are scores, and --output_activation logits if not"
    )


def _failure(clip: Clip, error: InferenceError) -> Failure:
    place = f"the model failed on clip {clip.span.clip_index} of {clip.video_uri}: "
    return Failure(
        clip.video_uri,
        "classify",
        error.code,
        f"{'' if isinstance(error, PredecessorLostError) else place}{error}",
        transient=error.transient,
        segment_index=clip.segment_index,
        clip_index=clip.span.clip_index,
        time_range=clip.time_range,
    )
