"""Recognize files that are not a model's folder by their names, and say what to pass instead."""

from __future__ import annotations

GRAPH_FILES = ("saved_model.pb", "saved_model.pbtxt")
ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
_SOURCE = "pass the folder of the SavedModel that it was made from"
_PYTORCH = "a PyTorch model", "convert it to a SavedModel, and pass that folder"
_KERAS = "a Keras model", "write it with `model.export(FOLDER)`, and pass that folder"
_OPENVINO = (
    "a part of an OpenVINO model",
    f"{_SOURCE}, or one that `reelbeam models export` wrote",
)
_KINDS = {
    ".tflite": ("a TensorFlow Lite model", _SOURCE),
    ".lite": ("a TensorFlow Lite model", _SOURCE),
    ".pb": ("a TensorFlow graph without its folder", "save it as a SavedModel, and pass that folder"),
    ".h5": _KERAS,
    ".hdf5": _KERAS,
    ".keras": _KERAS,
    ".pt": _PYTORCH,
    ".pth": _PYTORCH,
    ".safetensors": _PYTORCH,
    ".ckpt": ("a checkpoint of weights", "save the model as a SavedModel, and pass that folder"),
    ".onnx": ("an ONNX model", "convert it to a SavedModel, and pass that folder"),
    ".xml": _OPENVINO,
    ".bin": _OPENVINO,
}
_UNKNOWN = (
    "a file",
    (
        "pass a catalog name, a URL, the folder of a SavedModel or of an exported model, or a local archive of one "
        f"({', '.join(ARCHIVES)})"
    ),
)


def kind_of(name: str) -> str | None:
    """Returns the kind of a file by its name, for example "a Keras model"; None if the name does not show it."""
    found = _found(name)
    return found and found[0]


def refusal(place: str) -> str:
    """Returns why the file at a path or URI is not a model's folder, and what to pass instead."""
    folder, _, name = place.replace("\\", "/").rpartition("/")
    if name in GRAPH_FILES:
        return f"{place} is the graph of a SavedModel, and its weights are in files beside it: pass {folder or '.'}"
    what, remedy = _found(name) or _UNKNOWN
    return f"{place} is {what}: {remedy}"


def _found(name: str) -> tuple[str, str] | None:
    lower = name.lower()
    if lower.endswith(ARCHIVES):
        return "an archive", "unpack it, and pass the folder"
    return next((kind for suffix, kind in _KINDS.items() if lower.endswith(suffix)), None)
