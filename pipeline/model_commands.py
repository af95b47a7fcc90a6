"""`reelbeam models`, `reelbeam models fetch` and `reelbeam models export`."""

from __future__ import annotations

import pathlib

from rich.text import Text

from pipeline.console import make_console, make_table, right
from transforms.errors import ModelNotFoundError
from transforms.models import catalog, export, resolver
from transforms.models.engine import with_found_kind


def list_models() -> None:
    """Prints the catalog: what each model looks at, what it costs, how good it is, and whether it is here."""
    numbers = [right(name) for name in ("frames", "fps", "resize", "size", "GFLOPs", "top-1 %")]
    table = make_table("model", *numbers, "here")
    for spec in catalog.CATALOG.values():
        preset = spec.preset
        table.add_row(
            spec.name,
            str(preset.num_frames),
            str(preset.target_fps),
            str(preset.resize),
            str(preset.size),
            "" if spec.gflops is None else f"{spec.gflops:g}",
            "" if spec.top1_percent is None else f"{spec.top1_percent:.2f}",
            "yes" if resolver.is_cached(spec.handle) else "no",
        )
    console = make_console()
    console.print(table)
    console.print(
        Text(
            "GFLOPs of one clip, and published top-1 accuracy on Kinetics-600 (TensorFlow Model Garden). "
            "demo knows nine motions and is bundled; `reelbeam models fetch NAME` brings another one here.",
            style="dim",
        )
    )


def fetch(name: str) -> None:
    """Downloads a model, by catalog name or URL, and prints where it is.

    Raises:
      ModelError: see `resolver.resolve`.
    """
    try:
        handle = catalog.find(name).handle
    except ModelNotFoundError:
        if "://" not in name:
            raise
        handle = name
    print(resolver.resolve(handle))


def export_model(spec: catalog.ModelSpec, to: str) -> None:
    """Writes a model as a folder for `--model`, and prints where it is.

    Raises:
      ConfigError: something is there already, or the folder cannot be written.
      ModelError: the model or its labels cannot be used.
    """
    target = pathlib.Path(to).resolve()
    export.export(with_found_kind(spec), target)
    print(target)
