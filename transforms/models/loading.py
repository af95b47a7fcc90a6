"""Load an engine: fetch its model, and keep one copy of it per process."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, TypeAlias

from reelbeam.transforms.errors import ConfigError, ModelError
from reelbeam.transforms.models.cpus import cpu_count
from reelbeam.transforms.models.engine import Engine, EngineName, Precision, choose_engine, require_precision
from reelbeam.transforms.models.engines.stream import StreamEngine
from reelbeam.transforms.models.output_activation import output_activation
from reelbeam.transforms.models.registry import resolver
from reelbeam.transforms.models.registry.catalog import ModelSpec
from reelbeam.transforms.models.registry.manifest import require_pin
from reelbeam.transforms.redaction import without_query

_LOGGER = logging.getLogger(__name__)


def load_engine(
    spec: ModelSpec, engine: EngineName = "auto", num_threads: int | None = None, precision: Precision = "float32"
) -> Engine:
    """Fetches a model if necessary and loads it. Does not read its label file, which may exist only at the launcher.

    While an engine is referenced, another call with the same arguments returns it: a process has one copy.

    Args:
      spec: the model.
      engine: the engine; "auto" is TensorFlow if an accelerator is visible, otherwise OpenVINO.
      num_threads: the number of threads that call `classify` concurrently, and of CPUs for the engine; None uses all.
      precision: the arithmetic precision; "bfloat16" is for OpenVINO only.

    Raises:
      ModelError: the handle, the model or its signature is invalid; a subclass says which.
      ConfigError: the engine does not exist, or it cannot run the model, or not with that precision.
    """
    if spec.kind == "stream":
        raise ModelError(f"{spec.name} is a Stream model: load it with load_stream_engine")
    loaded: Engine = _load_once(spec, engine, num_threads, precision)
    return loaded


def load_stream_engine(
    spec: ModelSpec, engine: EngineName = "auto", num_threads: int | None = None, precision: Precision = "float32"
) -> StreamEngine:
    """Loads a Stream model, with the arguments and errors of `load_engine`."""
    if spec.kind != "stream":
        raise ModelError(f"{spec.name} is not a Stream model")
    loaded: StreamEngine = _load_once(spec, engine, num_threads, precision)
    return loaded


def load_any_engine(
    spec: ModelSpec, engine: EngineName = "auto", num_threads: int | None = None, precision: Precision = "float32"
) -> Engine | StreamEngine:
    """Loads a Base or a Stream model, with the arguments and errors of `load_engine`."""
    load = load_stream_engine if spec.kind == "stream" else load_engine
    return load(spec, engine, num_threads, precision)


LoadEngine: TypeAlias = Callable[[ModelSpec, EngineName, int | None, Precision], Engine | StreamEngine]
"""See `load_any_engine`."""


_loading = threading.Lock()
_Loaded: TypeAlias = Any
"""An Engine or a StreamEngine, or the class of one: by the kind of the model."""
_loaded: weakref.WeakValueDictionary[tuple[object, ...], _Loaded] = weakref.WeakValueDictionary()


def _load_once(spec: ModelSpec, engine: EngineName, num_threads: int | None, precision: Precision) -> _Loaded:
    threads = cpu_count() if num_threads is None else num_threads
    if threads < 1:
        raise ConfigError(f"num_threads must be at least 1, not {threads}")
    chosen = choose_engine(engine, spec)
    require_precision(precision, chosen)
    with _loading:
        key = (spec, chosen, threads, precision)
        loaded = _loaded.get(key)
        if loaded is None:
            loaded = _loaded[key] = _load(spec, chosen, threads, precision)
        return loaded


def _load(spec: ModelSpec, engine: EngineName, num_threads: int, precision: Precision) -> _Loaded:
    folder = resolver.resolve(spec.handle, spec.mirrors)
    require_pin(folder, spec.pin, without_query(spec.handle))
    start = time.monotonic()
    options = () if engine == "tensorflow" else (precision,)
    loaded = _engine_class(engine, spec.kind).load(folder, spec.preset, num_threads, *options)
    loaded.output_activation = output_activation(spec, folder)
    seconds = time.monotonic() - start
    name, place = without_query(spec.name), without_query(spec.handle)
    _LOGGER.info("Loaded %s (%s) with %s in %.1f s", name, place, loaded.name, seconds)
    return loaded


def _engine_class(engine: EngineName, kind: str) -> _Loaded:
    if engine == "tensorflow":
        from reelbeam.transforms.models.engines.tensorflow_engine import TensorFlowEngine
        from reelbeam.transforms.models.engines.tensorflow_stream import TensorFlowStreamEngine

        return TensorFlowStreamEngine if kind == "stream" else TensorFlowEngine
    from reelbeam.transforms.models.engines.openvino_engine import OpenVinoEngine
    from reelbeam.transforms.models.engines.openvino_stream import OpenVinoStreamEngine

    return OpenVinoStreamEngine if kind == "stream" else OpenVinoEngine
