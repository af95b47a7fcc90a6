"""Create a TensorFlow function that also returns embeddings, as a frozen copy of a function that returns logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from reelbeam.transforms.models.engines.embeddings import tensorflow_embedding

# TensorFlow's objects, by what they are. Without an import of the library, its types cannot be named.
SavedModel: TypeAlias = Any
Function: TypeAlias = Any
Graph: TypeAlias = Any
Tensor: TypeAlias = Any

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


def with_embeddings(function: Function, logits: int, num_classes: int) -> Function | None:
    """Returns a function that also returns the embeddings; None if the graph has none.

    This takes seconds. The copy does not contain separately compiled functions, which the official Stream models have.

    Args:
      function: a concrete function.
      logits: the position of the logits, float32 [N, C], among its outputs.
      num_classes: C.

    Returns:
      A function of the same inputs, without variables, that returns the outputs and the embeddings, float32 [N, D].
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(function)
    outputs = _unfolded(frozen.graph, frozen.outputs)
    found = tensorflow_embedding(outputs[logits], num_classes)
    if found is None:
        return None
    source, size = found
    with frozen.graph.as_default():
        # Fails if a clip has several embeddings: a layer over positions, followed by an average.
        embeddings = tf.ensure_shape(tf.reshape(source, [tf.shape(outputs[logits])[0], size]), [None, size])
    return frozen.prune(frozen.inputs, [*outputs, embeddings])


def _unfolded(graph: Graph, outputs: Sequence[Tensor]) -> list[Tensor]:
    """Returns the tensors of a frozen graph's outputs, in copies of the functions that it calls if necessary.

    Freezing inlines most nested functions into the graph, where the layer can be found, but not functions that are
    compiled separately.
    """
    import tensorflow as tf
    from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

    functions = {function.signature.name: function for function in graph.as_graph_def().library.function}
    copies: dict[Tensor, list[Tensor]] = {}

    def copied(call: Tensor) -> list[Tensor]:
        body = function_def_to_graph(functions[call.get_attr("f").name])
        taken = {ours.op.name: given for ours, given in zip(body.inputs, call.inputs, strict=True)}
        with graph.as_default():
            return list(tf.graph_util.import_graph_def(body.as_graph_def(), taken, [x.name for x in body.outputs]))

    def source(tensor: Tensor) -> Tensor:
        while tensor.op.type == "Identity":
            tensor = tensor.op.inputs[0]
        if tensor.op.type not in _CALLS:
            return tensor
        if tensor.op not in copies:
            copies[tensor.op] = copied(tensor.op)
        return source(copies[tensor.op][tensor.value_index])

    return [source(output) for output in outputs]
