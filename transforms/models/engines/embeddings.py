"""Find the activations before the classifier: the input of the last dense layer, 2048 numbers per clip in MoViNet.

The search uses structure, not names. It goes from the logits backward through operations that only reshape, add or
scale, to the first layer that mixes its inputs with constant weights and outputs one number per class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

_MOST_STEPS = 32


Node: TypeAlias = Any
"""A node of a graph of OpenVINO's, or a tensor of one of TensorFlow's."""


class _Kinds(NamedTuple):
    """Names of operations that the search passes through, and names of dense layers."""

    passed: frozenset[str]
    dense: frozenset[str]


_OPENVINO = _Kinds(
    frozenset(
        "Result Transpose Squeeze Unsqueeze Reshape Add Multiply Convert Softmax LogSoftmax Sigmoid ReduceMean".split()
    ),
    frozenset("Convolution MatMul".split()),
)
_TENSORFLOW = _Kinds(
    frozenset(
        "Identity Transpose Squeeze ExpandDims Reshape Add AddV2 BiasAdd Mul Cast Softmax LogSoftmax Sigmoid "
        "Mean".split()
    ),
    # A function compiled separately remains a call with its input, its weights and its bias.
    frozenset("Conv2D Conv3D MatMul BatchMatMulV2 PartitionedCall StatefulPartitionedCall".split()),
)


def openvino_embedding(logits: Node, num_classes: int) -> Node | None:
    """Returns the output port of an OpenVINO model with a clip's embedding; None if there is none.

    Args:
      logits: the model's output port, with sizes fixed to one clip.
      num_classes: the size of the logits.
    """

    def inputs(node: Node) -> list[Node]:
        return [node.input_value(k) for k in range(node.get_input_size())]

    dense = _last_dense(
        logits.get_node(),
        _OPENVINO,
        kind=lambda node: str(node.get_type_name()),
        inputs=lambda node: [port.get_node() for port in inputs(node)],
    )
    if dense is None:
        return None
    source, weights = inputs(dense)[:2]
    size = _features(list(weights.get_shape()), num_classes)
    return source if size and [each for each in source.get_shape()[1:] if each != 1] == [size] else None


def tensorflow_embedding(logits: Node, num_classes: int) -> tuple[Node, int] | None:
    """Returns the embeddings' tensor of a frozen TensorFlow graph, and their size; None if there is none.

    The tensor's other dimensions may be unknown here. They are 1 if each clip has one embedding.

    Args:
      logits: the graph's output tensor.
      num_classes: the last dimension of the logits.
    """
    dense = _last_dense(
        logits.op, _TENSORFLOW, kind=lambda op: str(op.type), inputs=lambda op: [tensor.op for tensor in op.inputs]
    )
    if dense is None or dense.inputs[1].shape.rank is None:
        return None
    size = _features(dense.inputs[1].shape.as_list(), num_classes)
    return (dense.inputs[0], size) if size else None


def _last_dense(
    node: Node, kinds: _Kinds, kind: Callable[[Node], str], inputs: Callable[[Node], Sequence[Node]]
) -> Node | None:
    for _ in range(_MOST_STEPS):
        before = inputs(node)
        if kind(node) in kinds.dense:
            return node if len(before) > 1 and _is_constant(before[1], kind, inputs) else None
        if kind(node) not in kinds.passed:
            return None
        computed = [each for each in before if not _is_constant(each, kind, inputs)]
        # The shape of a Reshape may also be computed; its data is the first input.
        if not computed:
            return None
        node = computed[0]
    return None


def _is_constant(node: Node, kind: Callable[[Node], str], inputs: Callable[[Node], Sequence[Node]]) -> bool:
    while kind(node) in ("Identity", "Convert", "ReadVariableOp"):
        node = inputs(node)[0]
    return kind(node) in ("Const", "Constant")


def _features(weights: Sequence[int], num_classes: int) -> int | None:
    """Returns the input size of a dense layer with these weights; None if it does not output one number per class."""
    sizes = [size for size in weights if size != 1]
    if len(sizes) != 2 or num_classes not in sizes:
        return None
    return sizes[0] if sizes[1] == num_classes else sizes[1]
