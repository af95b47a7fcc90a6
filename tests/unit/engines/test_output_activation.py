"""Models that end in a softmax or in sigmoids: both engines detect it in the graph."""

from __future__ import annotations

import dataclasses
import logging
import math
import pathlib
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.testing as npt
import pytest
import record_factory as make

from reelbeam.transforms.errors import InferenceError
from reelbeam.transforms.labeling import clip_classifier
from reelbeam.transforms.labeling.clip_classifier import ClipClassifier
from reelbeam.transforms.models.classifier_config import ClassifierConfig
from reelbeam.transforms.models.export import export
from reelbeam.transforms.models.label_filter import LabelFilter
from reelbeam.transforms.models.loading import load_engine, load_stream_engine
from reelbeam.transforms.models.output_activation import output_activation
from reelbeam.transforms.models.registry.catalog import ModelSpec, OutputActivation, Preset, find
from reelbeam.transforms.models.registry.label_map import LabelMap
from reelbeam.transforms.models.registry.manifest import read_manifest
from reelbeam.transforms.models.registry.resolver import resolve
from reelbeam.transforms.models.scores import entropy, log_sum_exp, may_be_softmax, softmax, to_logits, to_scores
from reelbeam.transforms.records import Clip, ClipScores, Failure

TINY = Preset(num_frames=2, target_fps=Fraction(2), resize=8, size=8)
WEIGHTS = np.array([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]], np.float32)
LABELS = ("red", "green", "blue")


def tf_softmax(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.softmax(x)


def sigmoid(x: Any) -> Any:
    import tensorflow as tf

    return tf.sigmoid(x)


def log_softmax(x: Any) -> Any:
    import tensorflow as tf

    return tf.nn.log_softmax(x)


def mean_of_two_softmaxes(x: Any) -> Any:
    import tensorflow as tf

    return tf.reduce_mean(tf.stack([tf.nn.softmax(x), tf.nn.softmax(x)], axis=0), axis=0)


def softmax_behind_shapes(x: Any) -> Any:
    import tensorflow as tf

    return tf.ensure_shape(tf.reshape(tf.cast(tf.identity(tf.nn.softmax(x)), tf.float32), [-1, 3]), [None, 3])


def softmax_by_hand(x: Any) -> Any:
    import tensorflow as tf

    weights = tf.exp(x - tf.reduce_max(x, axis=1, keepdims=True))
    return weights / tf.reduce_sum(weights, axis=1, keepdims=True)


def scaled_softmax(x: Any) -> Any:
    return 10.0 * tf_softmax(x)


def logits(x: Any) -> Any:
    return x


def save(folder: pathlib.Path, head: Callable[[Any], Any], depth: int = 0, compiled: bool = False) -> ModelSpec:
    """A model of the mean colour of a clip; `depth`: functions inside of each other, around its head."""
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(WEIGHTS)

        @tf.function(input_signature=[tf.TensorSpec([None, None, None, None, 3], tf.float32, name="image")])
        def run(self, image: Any) -> Any:
            mixed = tf.matmul(tf.reduce_mean(image, axis=[1, 2, 3]), self.weights)
            call = head
            for _ in range(depth):
                call = tf.function(call, jit_compile=compiled)
            return {"answer": call(mixed)}

    model = Model()
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.run})
    return ModelSpec("mine", "base", str(folder), "", TINY)


def clip(red: int, green: int, blue: int) -> Clip:
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    frames[...] = (red, green, blue)
    return dataclasses.replace(make.clip(), frames=frames)


def mixed(red: int, green: int, blue: int) -> np.ndarray:
    return np.array([[red, green, blue]], np.float32) / 255 @ WEIGHTS


HEADS: list[tuple[Callable[[Any], Any], OutputActivation]] = [
    (logits, "logits"),
    (tf_softmax, "softmax"),
    (sigmoid, "sigmoid"),
    (log_softmax, "logits"),
    (mean_of_two_softmaxes, "logits"),
    (softmax_behind_shapes, "softmax"),
    (softmax_by_hand, "logits"),
    (scaled_softmax, "logits"),
]


@pytest.mark.parametrize(("head", "wanted"), HEADS)
@pytest.mark.parametrize("depth", [0, 2])
def test_the_graph_shows_what_the_output_is(
    head: Callable[[Any], Any], wanted: str, depth: int, tmp_path: pathlib.Path
) -> None:
    spec = save(tmp_path / "model", head, depth)
    assert output_activation(spec, tmp_path / "model") == wanted


def test_functions_that_are_to_be_compiled_are_checked(tmp_path: pathlib.Path) -> None:
    spec = save(tmp_path / "model", sigmoid, depth=1, compiled=True)
    assert output_activation(spec, tmp_path / "model") == "sigmoid"


def test_an_output_that_a_function_only_passes_on_is_followed_to_its_caller(tmp_path: pathlib.Path) -> None:
    import tensorflow as tf

    passed_on = tf.function(lambda x: tf.identity(x))
    spec = save(tmp_path / "model", lambda x: passed_on(tf.nn.softmax(x)))
    assert output_activation(spec, tmp_path / "model") == "softmax"


def test_what_the_flag_says_goes_first(tmp_path: pathlib.Path) -> None:
    spec = dataclasses.replace(save(tmp_path / "model", tf_softmax), output_activation="logits")
    assert output_activation(spec, tmp_path / "model") == "logits"
    assert load_engine(spec, "openvino", 1).output_activation == "logits"


def test_the_catalogs_models_give_logits(shared_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    import tarfile

    assert output_activation(find("demo"), resolve(find("demo").handle)) == "logits"
    for kind in ("base", "stream"):
        with tarfile.open(shared_dir / "models" / f"movinet_a0_{kind}.tar.gz") as archive:
            archive.extractall(tmp_path / kind, filter="data")
        assert output_activation(find(f"a0-{kind}"), tmp_path / kind) == "logits"


def scores_of(spec: ModelSpec, engine: Any, clips: list[Clip]) -> list[ClipScores]:
    classifier = ClipClassifier(
        ClassifierConfig(
            model=spec, labels=LABELS, kept=LabelFilter(3), engine=engine, num_threads=1, outputs=("logits",)
        )
    )
    results = classifier.classify(clips, load_engine(spec, engine, 1))
    assert all(isinstance(result, ClipScores) for result in results)
    return [result for result in results if isinstance(result, ClipScores)]


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_a_softmax_at_the_end_is_not_taken_twice(engine: Any, tmp_path: pathlib.Path) -> None:
    """A model that ends in a softmax gives the rows of one that gives its logits, but for the size of the logits."""
    clips = [clip(255, 0, 0), clip(200, 100, 50)]
    plain = scores_of(save(tmp_path / "plain", logits), engine, clips)
    ended = scores_of(save(tmp_path / "ended", tf_softmax), engine, clips)
    logged = scores_of(save(tmp_path / "logged", log_softmax), engine, clips)
    for wanted, *others in zip(plain, ended, logged, strict=True):
        for found in others:
            npt.assert_allclose(found.scores, wanted.scores, atol=1e-6)
            assert found.entropy == pytest.approx(wanted.entropy, abs=1e-5)
            assert found.log_sum_exp == pytest.approx(0, abs=1e-5)
            assert found.logits is not None
            npt.assert_allclose(softmax(found.logits[None])[0], wanted.scores, atol=1e-3)
    assert ended[0].scores[0] == pytest.approx(math.exp(3) / (math.exp(3) + 2), abs=1e-5)


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_sigmoids_at_the_end_are_scores_class_by_class(engine: Any, tmp_path: pathlib.Path) -> None:
    (found,) = scores_of(save(tmp_path / "model", sigmoid), engine, [clip(255, 255, 0)])
    wanted = 1 / (1 + np.exp(-mixed(255, 255, 0)[0]))
    npt.assert_allclose(found.scores, wanted, atol=1e-6)
    assert found.scores.sum() > 2
    assert [label.label for label in found.labels] == ["red", "green", "blue"]
    by_class = -(wanted * np.log(wanted) + (1 - wanted) * np.log(1 - wanted))
    assert found.entropy == pytest.approx(by_class.sum(), abs=1e-5)
    assert found.logits is not None
    npt.assert_allclose(found.logits, mixed(255, 255, 0)[0], atol=1e-2)
    assert found.log_sum_exp == pytest.approx(math.log(2 * math.exp(3) + 1), abs=1e-4)


@pytest.mark.parametrize("head", [tf_softmax, sigmoid])
def test_embeddings_are_found_before_a_softmax_and_before_sigmoids(head: Any, tmp_path: pathlib.Path) -> None:
    spec = save(tmp_path / "model", head)
    for engine in ("openvino", "tensorflow"):
        assert load_engine(spec, engine, 1).embedding_size() == 3


@pytest.mark.parametrize(("head", "wanted"), [(logits, "logits"), (tf_softmax, "softmax"), (sigmoid, "sigmoid")])
def test_an_exported_model_says_what_its_outputs_are(head: Any, wanted: str, tmp_path: pathlib.Path) -> None:
    spec = save(tmp_path / "model", head)
    export(spec, tmp_path / "model", LabelMap(LABELS), tmp_path / "exported")
    manifest = read_manifest(tmp_path / "exported")
    assert manifest.output_activation == wanted
    assert manifest.to_spec(tmp_path / "exported").output_activation == wanted
    again = dataclasses.replace(spec, handle=str(tmp_path / "exported"))
    assert load_engine(again, "openvino", 1).output_activation == wanted


def test_a_stream_models_answer_is_found_among_its_states(tmp_path: pathlib.Path) -> None:
    import tensorflow as tf

    class Stream(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([5], tf.int32, name="like")])
        def begin(self, like: Any) -> dict[str, Any]:
            return {"sum": tf.zeros(tf.stack([like[0], 3]))}

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, None, None, None, 3], tf.float32, name="pictures"),
                tf.TensorSpec([None, 3], tf.float32, name="sum"),
            ]
        )
        def step(self, pictures: Any, sum: Any) -> dict[str, Any]:
            sum = sum + tf.reduce_sum(tf.reduce_mean(pictures, axis=[2, 3]), axis=1)
            return {"answer": tf.nn.softmax(sum), "sum": sum}

    model = Stream()
    tf.saved_model.save(model, str(tmp_path / "model"), signatures={"begin": model.begin, "step": model.step})
    spec = ModelSpec("mine", "stream", str(tmp_path / "model"), "", TINY)
    assert load_stream_engine(spec, "openvino", 1).output_activation == "softmax"


def test_a_softmax_of_basic_operations_is_reported_once(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip_classifier._warn_of_scores.cache_clear()
    spec = save(tmp_path / "model", softmax_by_hand)
    scores_of(spec, "openvino", [clip(255, 0, 0), clip(0, 255, 0)])
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1 and "pass --output_activation softmax if they are scores" in warnings[0]
    clip_classifier._warn_of_scores.cache_clear()
    caplog.clear()
    for named in ("logits", "softmax"):
        scores_of(dataclasses.replace(spec, output_activation=named), "openvino", [clip(255, 0, 0)])
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]


def test_outputs_that_are_not_scores_are_a_failure_that_names_the_flag(tmp_path: pathlib.Path) -> None:
    spec = dataclasses.replace(save(tmp_path / "model", logits), output_activation="sigmoid")
    classifier = ClipClassifier(
        ClassifierConfig(model=spec, labels=LABELS, kept=LabelFilter(3), engine="openvino", num_threads=1)
    )
    (result,) = classifier.classify([clip(255, 0, 0)], load_engine(spec, "openvino", 1))
    assert isinstance(result, Failure)
    assert result.code == "inference_failed"
    assert "the model gave 3, which is not a score from 0 to 1" in result.message
    assert result.message.endswith("pass --output_activation logits")


# --- the arithmetic


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_scores_stay_as_they_are(activation: Any) -> None:
    outputs = np.array([[0.25, 0.75, 0.0], [1.0, 0.0, 0.0]], np.float32)
    scores = to_scores(outputs, activation)
    assert scores.dtype == np.float32
    npt.assert_array_equal(scores, outputs)
    npt.assert_array_equal(to_scores(np.array([[1.004, -0.001]], np.float32), activation), [[1, 0]])
    for wrong in (1.5, -0.5):
        with pytest.raises(InferenceError, match=rf"gave {wrong}, which is not a score"):
            to_scores(np.array([[wrong, 0.5]], np.float32), activation)
    with pytest.raises(InferenceError, match="NaN or infinite"):
        to_scores(np.array([[np.nan, 0.5]], np.float32), activation)


def test_logits_lead_back_to_the_scores_and_are_finite() -> None:
    scores = np.array([0.7, 0.3, 0.0], np.float32)
    npt.assert_allclose(softmax(to_logits(scores, "softmax")[None])[0], scores, atol=1e-6)
    assert log_sum_exp(to_logits(scores, "softmax")) == pytest.approx(0, abs=1e-6)
    chances = np.array([0.0, 0.2, 1.0], np.float32)
    npt.assert_allclose(1 / (1 + np.exp(-to_logits(chances, "sigmoid").astype(np.float64))), chances, atol=1e-6)
    for activation in ("softmax", "sigmoid"):
        assert np.isfinite(to_logits(chances, activation).astype(np.float16)).all()


def test_the_entropy_of_sigmoids_is_that_of_every_class() -> None:
    assert entropy(np.array([0.5, 0.5], np.float32), "sigmoid") == pytest.approx(2 * math.log(2))
    assert entropy(np.array([1.0, 0.0, 1.0], np.float32), "sigmoid") == 0


@pytest.mark.parametrize(
    ("outputs", "wanted"),
    [([0.9, 0.1], True), ([0.9, 0.2], False), ([1.5, -0.5], False), ([1.0], False), ([0.0, 0.0, 0.0], False)],
)
def test_outputs_that_may_be_scores(outputs: list[float], wanted: bool) -> None:
    assert may_be_softmax(np.array([outputs], np.float32)) == wanted
