"""`reelbeam evaluate`: measure how right the labels of an output are."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from reelbeam.pipeline.commands.parsing import parse
from reelbeam.pipeline.flags.parser import STORES_EPILOG, Parser, make_parser
from reelbeam.pipeline.settings.command_settings import EVALUATE_GROUPS
from reelbeam.pipeline.settings.declaration import from_values
from reelbeam.pipeline.settings.report_settings import EvaluateSettings

EXIT_UNKNOWN_LABELS = 1


def evaluate_parser() -> Parser:
    """Returns the parser of `reelbeam evaluate`'s own flags."""
    description = (
        "Measure how right the labels of an output are, with a file of right labels. Exit code 1 if the file has "
        "labels that are not the model's."
    )
    return make_parser("reelbeam evaluate", description, EVALUATE_GROUPS, STORES_EPILOG)


def evaluate(argv: Sequence[str]) -> int:
    """Prints the evaluation of an output, and writes the thresholds if wanted.

    Returns 1 if the truth has labels that the model does not have, unless they are ignored, else 0. The evaluation is
    printed in both cases.

    Raises:
      ConfigError: a flag, the truth file or the label map does not fit the output.
      StorageError: a file cannot be read or written.
    """
    args = parse(evaluate_parser(), argv)
    settings = from_values(EvaluateSettings, vars(args))

    from reelbeam.pipeline.reports.evaluation_tables import print_evaluation
    from reelbeam.pipeline.reports.evaluation_texts import unknown_labels_text
    from reelbeam.pipeline.terminal.progress import WorkLine
    from reelbeam.pipeline.terminal.streams import printable
    from reelbeam.transforms.evaluation.evaluated_output import EvaluationRequest, evaluate_output
    from reelbeam.transforms.models.registry.catalog import label_file
    from reelbeam.transforms.output.comparison.selection import select_against, select_rows
    from reelbeam.transforms.output.label_thresholds import write_thresholds
    from reelbeam.transforms.output.tables import Output
    from reelbeam.transforms.records.thresholds import FORMAT_VERSION, LabelThresholds
    from reelbeam.transforms.stored_models.labels import load_labels
    from reelbeam.transforms.typed_json import to_json

    request = EvaluationRequest(
        truth=settings.truth,
        labels=None if settings.labels is None else load_labels(label_file(settings.labels)),
        precision=settings.precision,
        match=settings.match,
        ranking=settings.ranking,
        seed=settings.seed,
    )
    output = Output.read(args.output)
    with WorkLine("reading") as line:
        rows, against = select_rows(output, settings.run, line.show), None
        if settings.against is not None:
            against, rows = select_against(settings.against, output, settings.run, rows, line.show)
        found = evaluate_output(rows, request, against, line.show)
    if settings.write_thresholds is not None:
        default, labels = found.videos.thresholds.to_labels()
        models = found.evaluated.models
        cuts = LabelThresholds(FORMAT_VERSION, default, labels, found.ranking, settings.precision, models)
        place = write_thresholds(settings.write_thresholds, cuts)
        print(f"thresholds: {printable(place)}", file=sys.stderr)
    if args.json:
        print(json.dumps(to_json(found), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print_evaluation(found)
    if not found.truth.unknown_labels or settings.ignore_unknown_labels:
        return 0
    print(f"reelbeam: {printable(unknown_labels_text(found.truth))}", file=sys.stderr)
    return EXIT_UNKNOWN_LABELS
