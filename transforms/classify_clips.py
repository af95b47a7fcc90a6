"""ClassifyClips: Clip -> ClipScores, with Beam's RunInference. Pixels end here."""

from __future__ import annotations

import functools
import logging
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import apache_beam as beam
import numpy as np
from apache_beam.ml.inference.base import ModelHandler, RunInference

from reelbeam.transforms import metrics
from reelbeam.transforms.beam_compat import in_global_window
from reelbeam.transforms.errors import InferenceError, PredecessorLostError
from reelbeam.transforms.models.batches import Answer, BaseBatches
from reelbeam.transforms.models.classifier_config import ClassifierConfig
from reelbeam.transforms.models.cpu_meter import CpuMeter
from reelbeam.transforms.models.crops import crops_of, joined
from reelbeam.transforms.models.engine import Engine
from reelbeam.transforms.models.engines.stream import StreamEngine
from reelbeam.transforms.models.loading import LoadEngine, load_any_engine
from reelbeam.transforms.models.registry.catalog import OutputActivation
from reelbeam.transforms.models.registry.label_map import LabelMap
from reelbeam.transforms.models.scores import entropy, log_sum_exp, may_be_softmax, to_logits, to_scores, top_labels
from reelbeam.transforms.models.stream_batches import StreamBatches
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.records import Clip, ClipScores, Failure
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.stored_models.fetching import localized

_FAILURES = "failures"
_COSTS = "costs"

_meter = CpuMeter()


class ClassifiedClips(NamedTuple):
    """The output of ClassifyClips: scores or a failure for each clip, and what each bundle has cost."""

    scores: beam.PCollection[ClipScores]
    failures: beam.PCollection[Failure]
    costs: beam.PCollection[RunCost]


class ClassifyClips(beam.PTransform):
    """Classifies clips in batches with a model that is loaded once per worker process.

    Input: Clip, fused with the step that decoded it. Output: ClassifiedClips, one result for each clip. If the model
    fails on a batch, its halves are tried, until the bad clip is isolated: it becomes a failure (stage "classify",
    `inference_failed`), and the other clips get their scores. Out of memory halves all later batches of the process.

    A Stream model gets the clips of a segment in order, and its state goes from clip to clip, see
    `reelbeam.transforms.models.stream_batches`. A clip whose predecessor is missing is a failure, `predecessor_lost`.

    Several crops of a clip are classified one by one, and their scores are averaged, see
    `reelbeam.transforms.models.crops`. A Stream model has a state for each of them.

    Counters: clips_classified, clips_unclassified, videos_broken, model_cpu_ms, models_loaded, and RunInference's own.
    """

    def __init__(self, config: ClassifierConfig, load: LoadEngine = load_any_engine) -> None:
        """Starts nothing.

        Args:
          config: the model, and how it is used.
          load: loads the engine in each worker process.
        """
        super().__init__()
        self._handler = MoViNetModelHandler(config, load)

    def expand(self, clips: beam.PCollection[Clip]) -> ClassifiedClips:
        """Connects the steps."""
        results = (
            clips
            | "Classify" >> RunInference(self._handler, metrics_namespace=metrics.NAMESPACE)
            | "SplitFailures" >> beam.ParDo(_SplitFailuresFn()).with_outputs(_FAILURES, _COSTS, main="scores")
        )
        return ClassifiedClips(results["scores"], results[_FAILURES], results[_COSTS])


class MoViNetModelHandler(ModelHandler[Clip, ClipScores | Failure | RunCost, Engine | StreamEngine]):
    """Loads an engine for RunInference, and classifies batches of clips. Threads may share it."""

    def __init__(self, config: ClassifierConfig, load: LoadEngine = load_any_engine) -> None:
        # There is always a maximum: RunInference's default is 10,000 elements, which is 44 GB of clips.
        super().__init__(min_batch_size=config.max_batch_clips, max_batch_size=config.max_batch_clips)
        self._config = config
        self._load = load
        with_embeddings = "embedding" in config.outputs
        self._base = BaseBatches(config.max_batch_crops, with_embeddings)
        self._stream = StreamBatches(config.max_batch_crops, with_embeddings)

    def load_model(self) -> Engine | StreamEngine:
        """Loads the engine. RunInference calls it once per process and shares the result between threads.

        Raises:
          ModelError: it cannot be fetched or loaded, or the number of its classes is not the number of labels.
        """
        config = self._config
        engine = self._load(localized(config.model), config.engine, config.num_threads, config.precision)
        LabelMap(config.labels, without_query(config.model.labels)).check(engine.num_classes)
        return engine

    def run_inference(
        self, batch: Sequence[Clip], model: Engine | StreamEngine, inference_args: dict[str, object] | None = None
    ) -> list[ClipScores | Failure | RunCost]:
        """Returns the results of `classify`, and last what they cost."""
        _count_load(model)
        with _meter.measure() as used:
            results = self.classify(batch, model)
        return [*results, RunCost(model_cpu_seconds=used.cpu_seconds)]

    def classify(self, batch: Sequence[Clip], model: Engine | StreamEngine) -> list[ClipScores | Failure]:
        """Returns scores or a failure for each clip of the batch, in order, without its pixels."""
        num_crops, activation = self._config.num_crops, model.output_activation
        answers = self._classify(crops_of(batch, num_crops), model)
        if (self._config.model.output_activation, activation) == ("auto", "logits"):
            _warn_if_scores(answers)
        answers = joined(answers, num_crops, activation)
        return [self._to_result(clip, answer, activation) for clip, answer in zip(batch, answers, strict=True)]

    def _classify(self, batch: Sequence[Clip], model: Engine | StreamEngine) -> list[Answer | InferenceError]:
        if self._config.model.kind == "stream":
            return self._stream.classify(batch, cast(StreamEngine, model))
        return self._base.classify(batch, cast(Engine, model))

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
            labels=top_labels(scores, config.labels, config.top_k, config.min_score),
            entropy=entropy(scores, activation),
            log_sum_exp=log_sum_exp(logits),
            scores=scores,
            logits=logits.astype(np.float16) if "logits" in config.outputs else None,
            embedding=answer.embedding.astype(np.float16) if answer.embedding is not None else None,
            time_range=clip.time_range,
        )

    def get_num_bytes(self, batch: Sequence[Clip]) -> int:
        """Returns the number of bytes of the batch's frames. The default would pickle the batch."""
        return sum(clip.frames.nbytes for clip in batch)

    def get_metrics_namespace(self) -> str:
        """Returns the namespace of RunInference's own metrics."""
        return metrics.NAMESPACE


_counted_engines: weakref.WeakSet[Engine | StreamEngine] = weakref.WeakSet()
_counted_lock = threading.Lock()


def _count_load(engine: Engine | StreamEngine) -> None:
    """Counts an engine at its first batch, because Beam drops counts that are made while the model is loaded."""
    with _counted_lock:
        if engine in _counted_engines:
            return
        _counted_engines.add(engine)
    metrics.count(metrics.MODELS_LOADED)


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


class _SplitFailuresFn(beam.DoFn):
    """Splits results by kind, and sums the costs of a bundle."""

    def start_bundle(self) -> None:
        self._cpu_seconds = 0.0

    def process(self, result: ClipScores | Failure | RunCost) -> Iterator[ClipScores | beam.pvalue.TaggedOutput]:
        if isinstance(result, RunCost):
            self._cpu_seconds += result.model_cpu_seconds
        elif isinstance(result, ClipScores):
            metrics.count(metrics.CLIPS_CLASSIFIED)
            yield result
        else:
            metrics.count(metrics.CLIPS_UNCLASSIFIED)
            metrics.count_broken(result.key)
            yield beam.pvalue.TaggedOutput(_FAILURES, result)

    def finish_bundle(self) -> Iterator[beam.pvalue.TaggedOutput]:
        metrics.count(metrics.MODEL_CPU_MS, round(1000 * self._cpu_seconds))
        yield beam.pvalue.TaggedOutput(_COSTS, in_global_window(RunCost(model_cpu_seconds=self._cpu_seconds)))


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
