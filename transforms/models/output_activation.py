"""Find out whether a model's outputs are logits, or scores of a softmax or of sigmoids at its end.

The graph is searched from the signature's output backward through operations that preserve the values, and into called
functions, to the operation that produced the values. A log-softmax counts as logits: its softmax gives the same scores.
"""

from __future__ import annotations

import contextlib
import functools
import pathlib
from typing import NamedTuple

from reelbeam.transforms.errors import NotASavedModelError
from reelbeam.transforms.models.engines.signature_defs import (
    Fields,
    Message,
    MessageClass,
    message_class,
    parse,
    read_signatures,
)
from reelbeam.transforms.models.engines.stream import answer_of
from reelbeam.transforms.models.registry.catalog import ModelSpec, OutputActivation
from reelbeam.transforms.models.registry.manifest import is_exported, read_manifest

_FIELDS: Fields = {
    "SavedModel": [("meta_graphs", 2, "MetaGraph", True)],
    "MetaGraph": [("graph", 2, "Graph", False), ("signatures", 5, "SignatureEntry", True)],
    "SignatureEntry": [("key", 1, "string", False), ("value", 2, "Signature", False)],
    "Signature": [("outputs", 2, "TensorEntry", True)],
    "TensorEntry": [("key", 1, "string", False), ("value", 2, "Tensor", False)],
    "Tensor": [("name", 1, "string", False)],
    "Graph": [("nodes", 1, "Node", True), ("library", 2, "Library", False)],
    "Library": [("functions", 1, "Function", True)],
    "Function": [("signature", 1, "Declaration", False), ("nodes", 3, "Node", True), ("returns", 4, "TextEntry", True)],
    "Declaration": [("name", 1, "string", False), ("inputs", 2, "Argument", True), ("outputs", 3, "Argument", True)],
    "Argument": [("name", 1, "string", False)],
    "TextEntry": [("key", 1, "string", False), ("value", 2, "string", False)],
    "Node": [
        ("name", 1, "string", False),
        ("op", 2, "string", False),
        ("inputs", 3, "string", True),
        ("attributes", 5, "AttributeEntry", True),
    ],
    "AttributeEntry": [("key", 1, "string", False), ("value", 2, "Attribute", False)],
    "Attribute": [("function", 10, "FunctionName", False)],
    "FunctionName": [("name", 1, "string", False)],
}
_ENDS: dict[str, OutputActivation] = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# Operations that keep scores valid: they pass values on unchanged, select some of them, or average them.
_PASSED = frozenset(
    "Identity IdentityN Snapshot StopGradient PreventGradient EnsureShape Reshape Squeeze ExpandDims Transpose Cast "
    "Mean StridedSlice Slice GatherV2".split()
)
_MOST_STEPS = 200


def output_activation(spec: ModelSpec, folder: pathlib.Path) -> OutputActivation:
    """Returns the kind of a model's outputs: from its spec, or from its files if the spec says "auto".

    Args:
      spec: the model.
      folder: a SavedModel, or an exported model.

    Raises:
      ModelError: the manifest of an exported model cannot be read.
    """
    if spec.output_activation != "auto":
        return spec.output_activation
    if is_exported(folder):
        return read_manifest(folder).output_activation
    # A textual or damaged graph is left to the engine, which raises a specific error.
    with contextlib.suppress(NotASavedModelError):
        answer = answer_of(read_signatures(folder))
        if answer is not None:
            return _end_of(folder, *answer)
    return "logits"


class _Scope(NamedTuple):
    """A graph or the body of a function: its nodes, its arguments, and the call that it belongs to."""

    nodes: dict[str, Message]
    arguments: list[str]
    call: Message = None
    caller: Message = None  # a _Scope, or None for the graph itself


def _end_of(folder: pathlib.Path, signature: str, output: str) -> OutputActivation:
    for meta_graph in parse(folder, _message_class()).meta_graphs:
        for entry in meta_graph.signatures:
            names = {given.key: given.value.name for given in entry.value.outputs}
            if entry.key == signature and output in names:
                graph = meta_graph.graph
                functions = {function.signature.name: function for function in graph.library.functions}
                return _walk(names[output], _Scope({node.name: node for node in graph.nodes}, []), functions)
    return "logits"


def _walk(tensor: str, scope: _Scope, functions: dict[str, Message]) -> OutputActivation:
    """Follows a tensor ("node:0" in a graph, "node:output:0" in a function) to the operation that produced it."""
    for _ in range(_MOST_STEPS):
        name, *place = tensor.split(":")
        index = int(place[-1]) if place else 0
        node = scope.nodes.get(name)
        if node is None:
            if name not in scope.arguments:
                return "logits"
            tensor, scope = _inputs(scope.call)[scope.arguments.index(name)], scope.caller
        elif node.op in _CALLS:
            function = functions.get(_called(node))
            if function is None:
                return "logits"
            returned = {entry.key: entry.value for entry in function.returns}
            tensor = returned[function.signature.outputs[index].name]
            arguments = [argument.name for argument in function.signature.inputs]
            scope = _Scope({each.name: each for each in function.nodes}, arguments, node, scope)
        elif node.op in _PASSED:
            tensor = _inputs(node)[index if node.op == "IdentityN" else 0]
        else:
            return _ENDS.get(node.op, "logits")
    return "logits"


def _inputs(node: Message) -> list[str]:
    return [name for name in node.inputs if not name.startswith("^")]


def _called(node: Message) -> str:
    return next((str(entry.value.function.name) for entry in node.attributes if entry.key == "f"), "")


@functools.cache
def _message_class() -> MessageClass:
    return message_class("reelbeam.graph", "SavedModel", _FIELDS)
