"""`reelbeam models`, `reelbeam models fetch` and `reelbeam models export`."""

from __future__ import annotations

import argparse
import pathlib
import tempfile
from collections.abc import Sequence

from rich.text import Text

from reelbeam.pipeline.commands.parsing import parse
from reelbeam.pipeline.flags import model_flags
from reelbeam.pipeline.flags.parser import STORES_EPILOG, Parser, make_parser
from reelbeam.pipeline.settings.command_settings import EXPORT_GROUPS, FETCH_GROUPS
from reelbeam.pipeline.terminal.console import make_console, make_table, right
from reelbeam.pipeline.terminal.streams import print_path
from reelbeam.transforms.errors import ModelNotFoundError, StorageError
from reelbeam.transforms.models import export
from reelbeam.transforms.models.engine import with_found_kind
from reelbeam.transforms.models.registry import catalog, resolver
from reelbeam.transforms.models.registry.manifest import require_pin
from reelbeam.transforms.redaction import without_query


def models(argv: Sequence[str]) -> None:
    """Lists the models, or fetches or exports one, depending on the command line.

    Raises:
      ConfigError, ModelError: see `fetch` and `export_model`.
    """
    if argv[:1] == ["fetch"]:
        fetch(parse(fetch_parser(), argv[1:]).name)
    elif argv[:1] == ["export"]:
        args = parse(export_parser(), argv[1:])
        export_model(model_flags.to_model_spec(args), args.to)
    else:
        _models_parser().parse_args(argv)
        list_models()


def _models_parser() -> Parser:
    description = "List the models, or fetch or export one."
    parser = Parser(prog="reelbeam models", description=description, add_help=False)
    arguments, flags = parser.add_argument_group("Arguments"), parser.add_argument_group("Options")
    help_text = "See its --help; without a command, the models are listed"
    arguments.add_argument("command", nargs="?", type=_command, metavar="{fetch,export}", help=help_text)
    flags.add_argument("-h", "--help", action="help", help="Show this help message and exit")
    return parser


def _command(text: str) -> str:
    raise argparse.ArgumentTypeError(f"{text!r} is neither fetch nor export; `reelbeam models` alone lists the models")


def fetch_parser() -> Parser:
    """Returns the parser of `reelbeam models fetch`'s own flags."""
    return make_parser("reelbeam models fetch", "Download a model into the cache.", FETCH_GROUPS, STORES_EPILOG)


def export_parser() -> Parser:
    """Returns the parser of `reelbeam models export`'s own flags."""
    description = "Write a folder of a model, for workers without a hub and without TensorFlow."
    return make_parser("reelbeam models export", description, EXPORT_GROUPS, STORES_EPILOG)


def list_models() -> None:
    """Prints the catalog: the input of each model, its cost, its accuracy, and whether it is in the cache."""
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
            "yes" if resolver.is_cached(spec.handle, spec.mirrors) else "no",
        )
    console = make_console()
    console.print(table)
    console.print(
        Text(
            "GFLOPs of one clip, and published top-1 accuracy on Kinetics-600 (TensorFlow Model Garden). "
            "demo is bundled and knows nine motions; `reelbeam models fetch NAME` downloads another model.",
            style="dim",
        )
    )


def fetch(name: str) -> None:
    """Downloads a model by catalog name, URL or object-store path, and prints its path.

    Raises:
      ModelError: see `resolver.resolve` and `stored_models.fetching.fetch`.
    """
    from reelbeam.transforms.stored_models.fetching import fetch

    if resolver.is_stored(name):
        print_path(str(fetch(name)))
        return
    try:
        spec = catalog.find(name)
    except ModelNotFoundError:
        if "://" not in name:
            raise
        print_path(str(resolver.resolve(name)))
        return
    print_path(str(resolver.resolve(spec.handle, spec.mirrors)))


def export_model(spec: catalog.ModelSpec, to: str) -> None:
    """Writes a model as a folder for `--model`, locally or in an object store, and prints its path.

    Raises:
      ConfigError: the folder exists already, or cannot be written.
      RunError: the store does not respond.
      ModelError: the model or its labels cannot be used.
    """
    from reelbeam.pipeline.job.places import unusable
    from reelbeam.transforms.stored_models.fetching import localized
    from reelbeam.transforms.stored_models.labels import load_labels
    from reelbeam.transforms.stored_models.uploading import upload

    spec = with_found_kind(spec)
    folder = resolver.resolve(localized(spec).handle, spec.mirrors)
    require_pin(folder, spec.pin, without_query(spec.handle))
    labels = load_labels(spec.labels)
    if not resolver.is_stored(to):
        target = pathlib.Path(to).resolve()
        export.export(spec, folder, labels, target)
        print_path(str(target))
        return
    with tempfile.TemporaryDirectory(prefix="reelbeam-export-") as temporary:
        export.export(spec, folder, labels, pathlib.Path(temporary) / "model")
        try:
            upload(pathlib.Path(temporary) / "model", to)
        except StorageError as error:
            raise unusable(f"--to {to} cannot be written: {error}", error) from error
    print_path(to)
