"""ClassifyClips: Clip -> ClipScores, with Beam's RunInference. Pixels end here."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import apache_beam as beam
from apache_beam.ml.inference.base import ModelHandler, RunInference

from reelbeam.transforms import metrics
from reelbeam.transforms.beam_compat import in_global_window
from reelbeam.transforms.labeling.clip_classifier import ClipClassifier
from reelbeam.transforms.models.classifier_config import ClassifierConfig
from reelbeam.transforms.models.cpu_meter import model_meter
from reelbeam.transforms.models.engine import Engine
from reelbeam.transforms.models.engines.stream import StreamEngine
from reelbeam.transforms.models.loading import LoadEngine, load_any_engine
from reelbeam.transforms.output.run_counts import RunCost
from reelbeam.transforms.records import Clip, ClipScores, Failure

_FAILURES = "failures"
_COSTS = "costs"


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

    A Stream model gets clips that continue each other in order, and its state goes from clip to clip, see
    `reelbeam.transforms.models.stream_batches`. If the predecessor of such a clip is missing, it is a failure,
    `predecessor_lost`.

    Several crops of a clip are classified one by one, and their scores are averaged, see
    `reelbeam.transforms.models.crops`. A Stream model carries a state for each of them.

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
        batch = config.max_batch_clips
        super().__init__(min_batch_size=batch, max_batch_size=batch)
        self._classifier = ClipClassifier(config, load)

    def load_model(self) -> Engine | StreamEngine:
        """Loads the engine. RunInference calls it once per process and shares the result between threads.

        Raises:
          ModelError: it cannot be fetched or loaded, or the number of its classes is not the number of labels.
        """
        return self._classifier.load()

    def run_inference(
        self, batch: Sequence[Clip], model: Engine | StreamEngine, inference_args: dict[str, object] | None = None
    ) -> list[ClipScores | Failure | RunCost]:
        """Returns scores or a failure for each clip of the batch, in order, and last what they cost."""
        _count_load(model)
        with model_meter.measure() as used:
            results = self._classifier.classify(batch, model)
        return [*results, RunCost(model_cpu_seconds=used.cpu_seconds)]

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
