"""The run document, `runs/RUN_ID.json`: a description of a run for programs that read an output.

`docs/run.schema.json` is its JSON Schema, generated from these dataclasses. There are two kinds of documents: that of a
run that labeled, and that of a compaction, which holds rows of other runs. The rejection record of a rejected run,
`.staging/run=RUN_ID/failed.json`, is a run document with the reason.

All documents have the schema version of the tables. Outputs of other versions are not read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeAlias, TypeVar

from reelbeam.transforms.errors import UnusableFileError
from reelbeam.transforms.output.documents import Count, Name, Time, is_count, typed, wrong_value
from reelbeam.transforms.output.run_counts import Counts, ErrorCount, Files, LabelCount, PlannedCost, RowCounts, RunCost
from reelbeam.transforms.records import RunInfo
from reelbeam.transforms.schemas import SCHEMA_VERSION
from reelbeam.transforms.typed_json import json_schema


@dataclasses.dataclass(frozen=True)
class LabelingKey:
    """Everything except the video that determines its rows. Rows with the same labeling key need no relabeling.

    The names are those of the columns and of the fields of a run document.
    """

    model_fingerprint: str
    label_map_fingerprint: str
    sampling_fingerprint: str
    precision: str
    output_activation: str = "logits"
    schema_version: Count = SCHEMA_VERSION

    @classmethod
    def of(cls, run: RunInfo | RunDocument) -> LabelingKey:
        """Returns the labeling key of a run of this schema version."""
        return cls(*(getattr(run, name) for name in KEY_COLUMNS[:-1]))

    @classmethod
    def all_of(cls, document: CommittedDocument) -> tuple[LabelingKey, ...]:
        """Returns the labeling keys of the rows of a run, or of a compaction."""
        return document.labeling_keys if isinstance(document, CompactionDocument) else (cls.of(document),)

    def to_columns(self) -> dict[str, str | int]:
        """Returns the values of the columns by name."""
        return dataclasses.asdict(self)


KEY_COLUMNS = tuple(field.name for field in dataclasses.fields(LabelingKey))

SAMPLING_SETTINGS = (
    *("num_frames", "target_fps", "resize", "size", "tail_policy", "clip_stride_seconds", "clips_per_video"),
    *("carry_state", "warm_up_seconds", "crops"),
)
"""The settings in `RunFacts.configuration` that `sampling_fingerprint` depends on."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunFacts:
    """The facts of a run before it labels anything, see `RunInfo`.

    Attributes:
      configuration: the values of its flags.
      model_info: other facts about the model that determine the scores.
      versions: the versions of the packages that labeled.
    """

    run_id: Name
    started_at: Time
    labeled_at: Time | None
    model: str
    model_fingerprint: str
    label_map_fingerprint: str
    sampling_fingerprint: str
    engine: str
    precision: str
    decoder_version: str
    output_activation: str
    configuration: Mapping[str, object] = dataclasses.field(default_factory=dict)
    model_info: Mapping[str, object] = dataclasses.field(default_factory=dict)
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, run: RunInfo) -> RunFacts:
        """Returns the facts of a run without its configuration."""
        return cls(**vars(run))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunDocument(RunFacts):
    """The document of a run that labeled.

    Attributes:
      schema_version: the version of the tables and of this document.
      errors: the errors by code, the most frequent first.
      labels: the most frequent top labels of the videos.
      selected, skipped: the numbers of inputs by reason, see `reelbeam.transforms.output.ledger`.
      ignored: the numbers of ignored files by kind, see `reelbeam.transforms.storage.ignored`.
      cost: what the run has cost; absent in documents of runs that did not measure it.
      planned_cost: what `reelbeam plan` estimates for the labeled clips; absent in documents of older releases.
    """

    schema_version: Count
    counts: Counts
    errors: tuple[ErrorCount, ...]
    labels: tuple[LabelCount, ...]
    files: Files
    finished_at: Time
    selected: Mapping[str, Count]
    skipped: Mapping[str, Count]
    ignored: Mapping[str, Count] = dataclasses.field(default_factory=dict)
    cost: RunCost | None = None
    planned_cost: PlannedCost | None = None


@dataclasses.dataclass(frozen=True)
class Rejection:
    """The reason why a run was rejected."""

    code: str
    message: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class RejectedRun(RunDocument):
    """The rejection record of a rejected run. Its files are in the staging folder."""

    rejection: Rejection


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompactionDocument:
    """The document of a compaction.

    Attributes:
      compacted: the runs and earlier compactions whose rows it holds.
      labeling_keys: the labeling keys of its rows.
    """

    run_id: Name
    schema_version: Count
    compacted: tuple[Name, ...]
    labeling_keys: tuple[LabelingKey, ...]
    counts: RowCounts
    errors: tuple[ErrorCount, ...]
    files: Files
    started_at: Time
    finished_at: Time


CommittedDocument: TypeAlias = RunDocument | CompactionDocument

_Document = TypeVar("_Document", bound=RunDocument | CompactionDocument)


def committed_document(uri: str, run_id: str, document: object) -> CommittedDocument:
    """Returns the document of a run or a compaction after checking it.

    Args:
      uri: the URI of the document.
      run_id: the expected name of the run.
      document: the parsed JSON.

    Raises:
      UnusableFileError: the document has another schema version, is not valid, or names files of another run.
    """
    is_compaction = isinstance(document, dict) and "compacted" in document
    kind: type[CommittedDocument] = CompactionDocument if is_compaction else RunDocument
    found = _of_version(kind, uri, document)
    if found.run_id != run_id:
        raise wrong_value(uri, "run_id", found.run_id)
    found.files.require_own(uri, run_id)
    return found


def rejected_run(uri: str, document: object) -> RejectedRun:
    """Returns the rejection record of a run. Raises the errors of `committed_document`."""
    return _of_version(RejectedRun, uri, document)


def _of_version(kind: type[_Document], uri: str, document: object) -> _Document:
    version = document.get("schema_version") if isinstance(document, dict) else None
    if isinstance(version, int) and is_count(version) and version != SCHEMA_VERSION:
        age = "an older" if version < SCHEMA_VERSION else "a newer"
        raise UnusableFileError(
            f"{uri} has schema version {version}: it was written by {age} release of Reelbeam, and this one reads "
            f"version {SCHEMA_VERSION} only. Pass another --output, or use the release that wrote it"
        )
    return typed(kind, uri, document)


def run_schema() -> dict[str, object]:
    """Returns the JSON Schema of `runs/*.json`."""
    return json_schema("Run document of Reelbeam: OUTPUT/runs/RUN_ID.json", RunDocument, CompactionDocument)
