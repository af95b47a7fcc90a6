"""`reelbeam models` and `reelbeam models fetch`."""

from __future__ import annotations

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from transforms.errors import ModelNotFoundError
from transforms.models import catalog, resolver


def list_models() -> None:
    """Prints the catalog: what each model looks at, what it costs, how good it is, and whether it is here."""
    table = Table(
        "model",
        *(Column(name, justify="right") for name in ("frames", "fps", "resize", "size", "GFLOPs", "top-1 %")),
        "here",
    )
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
            _state(spec),
        )
    console = Console(highlight=False)
    console.print(table)
    console.print(
        Text(
            "GFLOPs of one clip, and published top-1 accuracy on Kinetics-600 (TensorFlow Model Garden). "
            "demo: nine motions, bundled.",
            style="dim",
        )
    )


def _state(spec: catalog.ModelSpec) -> str:
    if spec.kind == "stream":
        return "not supported yet"
    return "yes" if resolver.is_cached(spec.handle) else "no: reelbeam models fetch " + spec.name


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
