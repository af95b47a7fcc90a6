"""The model of a run, in the launcher's process."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from reelbeam.pipeline.job.preparation import Prepared
from reelbeam.transforms.models.engine import Engine, check_embeddings
from reelbeam.transforms.models.engines.stream import StreamEngine
from reelbeam.transforms.models.loading import load_any_engine
from reelbeam.transforms.schemas import tables_of_run


class RunModel:
    """Loads the model of a run at most once, and keeps it loaded: workers in this process share the copy."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._loaded: tuple[Engine | StreamEngine, Mapping[str, pa.Schema]] | None = None

    def load(self) -> Mapping[str, pa.Schema]:
        """Loads the model, and returns the schemas of the tables that a run with it writes.

        Raises:
          ModelError, ConfigError: the model cannot do what the configuration asks for.
        """
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded[1]

    def _load(self) -> tuple[Engine | StreamEngine, Mapping[str, pa.Schema]]:
        config, model = self._prepared.config, self._prepared.local_model
        engine = load_any_engine(model, config.engine, config.num_threads, config.precision)
        self._prepared.labels.check(engine.num_classes)
        embedding_size = check_embeddings(engine, model) if config.save_embeddings else None
        return engine, tables_of_run(engine.num_classes if config.save_logits else None, embedding_size)
