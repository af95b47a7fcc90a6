"""Read a SavedModel's signatures, and select the one to serve, without TensorFlow.

OpenVINO reads only the signature `serving_default`. A Stream model has `call` and `init_states` instead. So the wanted
signature is renamed in a copy of the graph file, which shares the original's variables.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from reelbeam.transforms.errors import NotASavedModelError, SignatureError
from reelbeam.transforms.models.engines.signature import TensorInfo
from reelbeam.transforms.models.registry.plain_files import read_plain

Message: TypeAlias = Any
"""A message of a class that `message_class` made: its fields are known when it runs."""
MessageClass: TypeAlias = Any

Fields = Mapping[str, Sequence[tuple[str, int, str, bool]]]
"""Message -> (field, number, type, repeated). A map is written as a repeated entry of key and value. Fields that are
not listed are preserved in a message, but not parsed."""

GRAPH_FILE = "saved_model.pb"
SERVED = "serving_default"
_MAX_GRAPH_BYTES = 1 << 30

# The required part of tensorflow/core/protobuf/*.proto.
_FIELDS: Fields = {
    "SavedModel": [("meta_graphs", 2, "MetaGraph", True)],
    "MetaGraph": [("signatures", 5, "SignatureEntry", True)],
    "SignatureEntry": [("key", 1, "string", False), ("value", 2, "Signature", False)],
    "Signature": [("inputs", 1, "TensorEntry", True), ("outputs", 2, "TensorEntry", True)],
    "TensorEntry": [("key", 1, "string", False), ("value", 2, "Tensor", False)],
    "Tensor": [("dtype", 2, "int32", False), ("shape", 3, "Shape", False)],
    "Shape": [("dims", 2, "Dim", True), ("unknown_rank", 3, "bool", False)],
    "Dim": [("size", 1, "int64", False)],
}
_DTYPES = {1: "float32", 2: "float64", 3: "int32", 4: "uint8", 6: "int8", 7: "string", 9: "int64", 10: "bool"}


@dataclasses.dataclass(frozen=True)
class Signature:
    """The inputs and outputs of one signature of a SavedModel, by name."""

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]


def read_signatures(folder: pathlib.Path) -> dict[str, Signature]:
    """Returns the signatures of a SavedModel by name, without the internal ones.

    Raises:
      NotASavedModelError: the graph file is missing (a textual saved_model.pbtxt is not read) or damaged.
    """
    entries = [entry for graph in parse(folder, _message_class()).meta_graphs for entry in graph.signatures]
    return {
        entry.key: Signature(_infos(entry.value.inputs), _infos(entry.value.outputs))
        for entry in entries
        if not entry.key.startswith("__saved_model")
    }


def serve(folder: pathlib.Path, signature: str, target: pathlib.Path, output_prefix: str = "") -> None:
    """Creates a SavedModel that serves one signature of another one by default.

    Args:
      folder: the SavedModel. It must not be moved: its variables are linked, not copied.
      signature: the name of the signature.
      target: the new folder.
      output_prefix: a prefix for the name of each output, to distinguish outputs from inputs of the same name.

    Raises:
      SignatureError: the model does not have this signature.
      NotASavedModelError: the graph file is missing or damaged.
      OSError: `target` cannot be written.
    """
    model = parse(folder, _message_class())
    for graph in model.meta_graphs:
        wanted = [entry for entry in graph.signatures if entry.key == signature]
        if not wanted:
            raise SignatureError(f"cannot run {folder}: it has no signature {signature}")
        wanted[0].key = SERVED
        for output in wanted[0].value.outputs:
            output.key = output_prefix + output.key
        kept = [entry.SerializeToString() for entry in wanted]
        del graph.signatures[:]
        for entry in kept:
            graph.signatures.add().ParseFromString(entry)
    target.mkdir(parents=True)
    (target / GRAPH_FILE).write_bytes(model.SerializeToString())
    (target / "variables").symlink_to((folder / "variables").resolve(), target_is_directory=True)


def parse(folder: pathlib.Path, message: MessageClass) -> Message:
    """Returns the graph file of a SavedModel, parsed as a message of that class.

    Raises:
      NotASavedModelError: it is missing or damaged.
    """
    from google.protobuf.message import DecodeError

    try:
        model = message()
        model.ParseFromString(read_plain(folder / GRAPH_FILE, _MAX_GRAPH_BYTES))
    except DecodeError as error:
        raise NotASavedModelError(f"{folder / GRAPH_FILE} is damaged: {error}") from error
    except OSError as error:
        raise NotASavedModelError(f"cannot read {folder / GRAPH_FILE}: {error.strerror}") from error
    return model


@functools.cache
def _message_class() -> MessageClass:
    return message_class("reelbeam.signatures", "SavedModel", _FIELDS)


def _infos(entries: Message) -> dict[str, TensorInfo]:
    return {
        entry.key: TensorInfo(entry.key, _DTYPES.get(entry.value.dtype, "another type"), _shape(entry.value.shape))
        for entry in sorted(entries, key=lambda entry: entry.key)
    }


def _shape(shape: Message) -> tuple[int | None, ...] | None:
    return None if shape.unknown_rank else tuple(None if dim.size < 0 else dim.size for dim in shape.dims)


def message_class(package: str, root: str, fields: Fields) -> MessageClass:
    """Returns the class of the message `root`. A process may create a package only once: cache the result."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field_types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for message_name, rows in fields.items():
        message = file.message_type.add(name=message_name)
        for name, number, kind, repeated in rows:
            label = field_types.LABEL_REPEATED if repeated else field_types.LABEL_OPTIONAL
            field = message.field.add(name=name, number=number, label=label)
            if kind in fields:
                field.type, field.type_name = field_types.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                field.type = field_types.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{root}"))
