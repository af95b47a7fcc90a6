"""Reject graphs with operations that access files, the network or Python, because a SavedModel is a program.

This is a deny list. It protects against mistakes and known tricks, not against bugs in TensorFlow itself. Run only
models from sources whose programs you would run. Every SavedModel has operations that save its variables; they are
allowed if only saving and loading can reach them.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterable, Iterator

from reelbeam.transforms.errors import ModelError
from reelbeam.transforms.models.engines.signature_defs import Message

_REASONS = (
    (r"ReadFile|MatchingFiles|ImmutableConst|RecordInput|(Experimental)?LMDB\w*|\w*Reader(V\d+)?", "reads files"),
    (
        r"InitializeTableFromTextFile(V\d+)?|GenerateVocabRemapping|LoadAndRemapMatrix|Restore(Slice)?|FixedUnigramCandidateSampler",
        "reads files",
    ),
    (r"\w*(Encode|Decode)Proto(V\d+)?|CheckpointExists|ReaderRead\w*", "reads files"),
    (r"\w*Dataset(V\d+)?|\w*Dataset(To|From)\w+|\w*Snapshot\w*", "reads or writes the files of data sets"),
    (r"WriteFile|(?!SaveV2$)\w*Save(V\d+|Slices|Dataset\w*)?|\w*FileSystem\w*|DeleteFile|RenameFile", "writes files"),
    (r"\w*Summary(File|Db)?Writer|Write\w*Summary|WriteGraphSummary|ImportEvent|Debug\w+", "writes files"),
    (r"(Stateless|Eager)?PyFunc\w*|EagerPyFunc|\w*NumpyFunction", "runs Python"),
    (r"RemoteCall|\w*Rpc\w*|_?(Host)?(Send|Recv)|DataService\w*|Gcs\w+|BigQuery\w*|Bigtable\w*", "uses the network"),
    (r"ConfigureDistributedTPU|ConnectTPU\w+|IO>\w+", "uses the network or files"),
)
_REFUSED = [(re.compile(names), reason) for names, reason in _REASONS]
_SAVING = frozenset({"SaveV2", "MergeV2Checkpoints", "RestoreV2"})
"""Operations that read and write a checkpoint anywhere; part of every SavedModel with variables."""


def require_harmless(folder: pathlib.Path) -> None:
    """Rejects a SavedModel that does more than compute. Imports TensorFlow, whose own parser reads the graph.

    Raises:
      ModelError: the graph or one of its functions has a rejected operation, or the graph cannot be read.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError
    from tensorflow.python.saved_model.loader_impl import parse_saved_model

    try:
        model = parse_saved_model(str(folder))
    except (OSError, ValueError, DecodeError, tf.errors.OpError) as error:
        raise ModelError(f"TensorFlow cannot read the graph of {folder}: {error}") from error
    for graph in model.meta_graphs:
        for place, operation, reason in faults(graph):
            raise ModelError(
                f"{folder} is refused: {operation} in {place} {reason}, which no model needs that labels clips; "
                "pass a model from a source that you trust"
            )


def why_refused(operation: str) -> str | None:
    """Returns why an operation is rejected, as the end of a sentence; None if it is allowed."""
    return next((reason for names, reason in _REFUSED if names.fullmatch(operation)), None)


def faults(graph: Message) -> Iterator[tuple[str, str, str]]:
    """Yields the place, the name and the reason of each rejected operation of a MetaGraphDef."""
    functions = {function.signature.name: function.node_def for function in graph.graph_def.library.function}
    saving = _above(graph, [graph.saver_def.save_tensor_name, graph.saver_def.restore_op_name])
    run = [node for node in graph.graph_def.node if node.name not in saving - _above(graph, _outputs(graph))]
    reached = _reached(functions, [*graph.object_graph_def.concrete_functions, *_called(run, functions)])
    yield from _faults("its graph", graph.graph_def.node, {node.name for node in run})
    for name, nodes in functions.items():
        yield from _faults(f"its function {name}", nodes, None if name in reached else set())


def _faults(place: str, nodes: Iterable[Message], run: set[str] | None) -> Iterator[tuple[str, str, str]]:
    """Yields the faults of some nodes; `run` has the names of the nodes that inference may run, None means all."""
    for node in nodes:
        reason = why_refused(node.op)
        if node.op == "PrintV2" and b"file:" in node.attr["output_stream"].s:
            reason = "writes files"
        if node.op in _SAVING and (run is None or node.name in run):
            reason = "reads or writes checkpoints"
        if reason:
            yield place, node.op, reason


def _outputs(graph: Message) -> list[str]:
    """Returns the names of the tensors that signatures and initialization use."""
    signatures = graph.signature_def.values()
    tensors = [
        tensor for signature in signatures for tensor in (*signature.outputs.values(), *signature.inputs.values())
    ]
    listed = [name for values in graph.collection_def.values() for name in values.node_list.value]
    saver = {graph.saver_def.save_tensor_name, graph.saver_def.restore_op_name}
    return [name for name in (*(tensor.name for tensor in tensors), *listed) if name not in saver]


def _above(graph: Message, tensors: Iterable[str]) -> set[str]:
    """Returns the names of the nodes that some tensors depend on."""
    nodes = {node.name: node for node in graph.graph_def.node}
    waiting = [_node_name(name) for name in tensors]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in found:
            found.add(name)
            waiting += map(_node_name, nodes[name].input)
    return found


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]


def _called(nodes: Iterable[Message], functions: dict[str, Message]) -> set[str]:
    """Returns the names of the functions that nodes call or pass on."""
    found = set()
    for node in nodes:
        found.add(node.op)
        for value in node.attr.values():
            found |= {value.func.name, *(function.name for function in value.list.func)}
    return found & functions.keys()


def _reached(functions: dict[str, Message], names: Iterable[str]) -> set[str]:
    """Returns the functions that some functions call, including themselves."""
    waiting, found = list(names), set()
    while waiting:
        name = waiting.pop()
        if name in functions and name not in found:
            found.add(name)
            waiting += _called(functions[name], functions)
    return found
