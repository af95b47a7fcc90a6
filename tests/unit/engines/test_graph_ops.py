"""Which SavedModels TensorFlow may run: those that only compute."""

from __future__ import annotations

import pathlib
import tarfile
from collections.abc import Callable, Sequence

import pytest

from reelbeam.transforms.errors import ModelError
from reelbeam.transforms.models.engines import graph_ops
from reelbeam.transforms.models.engines.tensorflow_engine import load_saved_model

tf = pytest.importorskip("tensorflow")

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Of operations with such an argument, those that reach no file: what is named is not a place, or TensorFlow never runs
# them in a graph.
PLACES = ("file", "path", "dir", "url", "address", "host", "prefix", "output_stream")
HARMLESS = {
    *("RestoreV2", "SaveV2", "MergeV2Checkpoints", "ShardedFilename", "ShardedFilespec"),  # see _SAVING
    "PrintV2",  # looked at by its attribute
}


def saved(folder: pathlib.Path, body: Callable[[], Sequence[object]]) -> pathlib.Path:
    """Saves a model whose signature runs `body` before it answers."""
    model = tf.Module()
    model.weight = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None, 2, 4, 4, 3], tf.float32, name="image")])
    def call(image: object) -> object:
        with tf.control_dependencies([tf.identity(value) for value in body()]):
            return {"logits": tf.reduce_mean(image, [1, 2, 3]) * model.weight}

    model.call = call
    tf.saved_model.save(model, str(folder), signatures=model.call)
    return folder


def inner(secret: str) -> object:
    return tf.cond(tf.constant(True), lambda: tf.io.read_file(secret), lambda: tf.constant(""))


BODIES = {
    "ReadFile": lambda secret: [tf.io.read_file(secret)],
    "ReadFile in a branch": lambda secret: [inner(secret)],
    "MatchingFiles": lambda secret: [tf.io.matching_files(secret)],
    "PyFunc": lambda secret: [tf.numpy_function(lambda: b"", [], tf.string)],
    "EagerPyFunc": lambda secret: [tf.py_function(lambda: b"", [], tf.string)],
    "RestoreV2": lambda secret: tf.raw_ops.RestoreV2(
        prefix=secret, tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
    ),
    "TextLineDataset": lambda secret: [
        tf.raw_ops.DatasetToSingleElement(
            dataset=tf.raw_ops.TextLineDataset(filenames=secret, compression_type="", buffer_size=0),
            output_types=[tf.string],
            output_shapes=[[]],
        )[0]
    ],
    "DecodeProtoV2": lambda secret: tf.io.decode_proto([b""], "x.Y", ["z"], [tf.int32], f"{secret}")[1],
}


@pytest.mark.parametrize("name", BODIES)
def test_a_model_that_reaches_files_or_python_is_refused_before_it_runs(name: str, tmp_path: pathlib.Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the labeling user")
    folder = saved(tmp_path / "model", lambda: BODIES[name](str(secret)))
    with pytest.raises(ModelError, match=rf"^{tmp_path}/model is refused: {name.split()[0]} in its function \w+ "):
        load_saved_model(folder, 1)


WRITES = {
    "WriteFile": lambda place: [tf.io.write_file(place, "x")],
    "SaveV2": lambda place: [tf.raw_ops.SaveV2(prefix=place, tensor_names=["x"], shape_and_slices=[""], tensors=[1.0])],
    "PrintV2": lambda place: [tf.print("x", output_stream=f"file://{place}")],
}


@pytest.mark.parametrize("name", WRITES)
def test_a_model_that_writes_files_is_refused(name: str, tmp_path: pathlib.Path) -> None:
    def body() -> list[object]:
        with tf.control_dependencies(WRITES[name](str(tmp_path / "written"))):
            return [tf.constant(0)]

    folder = saved(tmp_path / "model", body)
    with pytest.raises(ModelError, match=f"is refused: {name} in its function .+, which no model needs that labels"):
        load_saved_model(folder, 1)
    assert not list(tmp_path.glob("written*"))


def test_variables_are_still_saved_and_restored(tmp_path: pathlib.Path) -> None:
    folder = saved(tmp_path / "model", list)
    model = load_saved_model(folder, 1)
    answer = model.signatures["serving_default"](image=tf.ones([1, 2, 4, 4, 3]))
    assert answer["logits"].numpy().tolist() == [[2.0, 2.0, 2.0]] or answer["logits"].numpy().tolist() == [2.0]
    graph_ops.require_harmless(ROOT / "transforms/models/registry/demo")


@pytest.mark.parametrize("name", ["movinet_a0_base", "movinet_a0_stream"])
def test_the_official_models_pass(shared_dir: pathlib.Path, tmp_path: pathlib.Path, name: str) -> None:
    with tarfile.open(shared_dir / "models" / f"{name}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    graph_ops.require_harmless(tmp_path)


def test_a_graph_whose_saver_is_its_signature_is_refused(tmp_path: pathlib.Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    folder = saved(tmp_path / "model", lambda: WRITES["SaveV2"](str(tmp_path / "x")) and [tf.constant(0)])
    model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    (graph,) = model.meta_graphs
    graph.saver_def.save_tensor_name = graph.signature_def["serving_default"].outputs["logits"].name
    graph.object_graph_def.concrete_functions.clear()
    assert "SaveV2" in {operation for _, operation, _ in graph_ops.faults(graph)}


def test_every_operation_of_tensorflow_that_takes_a_place_is_refused() -> None:
    """Fails where a new TensorFlow has an operation that names a file, and the list does not know it."""
    names = [name for name in dir(tf.raw_ops) if name[0].isupper()]
    assert len(names) > 1000
    missed = []
    for name in names:
        arguments = getattr(tf.raw_ops, name).__doc__ or ""
        words = {line.strip().split(":")[0] for line in arguments.splitlines() if ":" in line}
        has_place = any(
            word.endswith(PLACES) or word.startswith(("file", "path")) for word in words if word.isidentifier()
        )
        if has_place and name not in HARMLESS and graph_ops.why_refused(name) is None:
            missed.append(name)
    assert missed == []
