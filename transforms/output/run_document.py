"""The run document, `runs/RUN_ID.json`: what a run did, for every program that reads an output.

`docs/run.schema.json` is its JSON Schema, made from the dataclasses here. There are two kinds of it: that of a run that
labeled, and that of a compaction, which holds rows of other runs. A run that was rejected leaves the same document with
the reason in it, as `.staging/run=RUN_ID/failed.json`.

All have one schema version, that of the tables. Outputs of another version are not read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TypeAlias, TypeVar

from reelbeam.transforms.errors import UnusableFileError
from reelbeam.transforms.records import RunInfo
from reelbeam.transforms.schemas import SCHEMA_VERSION
from reelbeam.transforms.storage.documents import Count, Name, Time, is_count, require_files, typed, wrong_value
from reelbeam.transforms.storage.typed_json import json_schema


@dataclasses.dataclass(frozen=True)
class LabelingKey:
    """What is done to a video, but for the video itself: rows of the same labeling key need not be made again.

    The names are those of the columns, and of the fields of a run document.
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
        """Returns the values of the columns by their names."""
        return dataclasses.asdict(self)


KEY_COLUMNS = tuple(field.name for field in dataclasses.fields(LabelingKey))


@dataclasses.dataclass(frozen=True)
class RowCounts:
    """How many rows the files of a compaction have."""

    videos: Count
    clips: Count


@dataclasses.dataclass(frozen=True)
class Counts:
    """What a run counted.

    Attributes:
      inputs: listed inputs: `videos` and `skipped` together.
      videos: rows of the videos table: `ok`, `partial` and `failed` together.
      video_clips: the sum of `num_clips` over the rows of the videos table.
      ok_videos_without_all_clips: must be 0.
      video_ms: milliseconds of video.
      first_attempts: videos of which no earlier run said that they failed.
      failed_first_attempts: those of them that failed.
      clips: rows of the clips table.
      skipped: inputs that were not labeled.
      excused: failed files that do not count as failures.
    """

    inputs: Count
    videos: Count
    ok: Count
    partial: Count
    failed: Count
    video_clips: Count
    ok_videos_without_all_clips: Count
    video_ms: Count
    first_attempts: Count
    failed_first_attempts: Count
    clips: Count
    skipped: Count
    excused: Count = 0

    @classmethod
    def total(cls, counts: Iterable[Counts]) -> Counts:
        """Returns the sums over several runs."""
        entries = list(counts)
        return cls(*(sum(getattr(entry, field.name) for entry in entries) for field in dataclasses.fields(cls)))


@dataclasses.dataclass(frozen=True)
class ErrorCount:
    """How many rows of the errors table have a code, with an example of a run's own."""

    code: str
    count: Count
    video_uri: str | None = None
    message: str | None = None


@dataclasses.dataclass(frozen=True)
class LabelCount:
    """How many videos have a label as their first."""

    label: str
    videos: Count


@dataclasses.dataclass(frozen=True)
class Files:
    """The files of each table, by the paths at which the run wrote them."""

    videos: tuple[str, ...] = ()
    clips: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    def of(self, table: str) -> tuple[str, ...]:
        """Returns the files of a table."""
        return vars(self)[table]

    def require_own(self, uri: str, run_id: str) -> None:
        """Raises UnusableFileError where the document at `uri` names a file that is not the run's.

        The paths are those of the time of the run: only their ends, below the output, count.
        """
        for table in vars(self):
            ends = ("/".join(path.split("/")[-3:]) for path in self.of(table))
            require_files(uri, f"files.{table}", ends, [run_id], table)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What is known of a run before it labels anything, see `RunInfo`.

    Attributes:
      configuration: what its flags say.
      model_info: what else its scores depend on.
      versions: of the packages that labeled.
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
      schema_version: of the tables and of this document.
      errors: by code, the most frequent first.
      labels: the most frequent first labels of the videos.
      selected, skipped: how many inputs, by reason, see `reelbeam.transforms.output.ledger`.
      ignored: what the listing left out, by kind, see `reelbeam.transforms.storage.ignored`.
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


@dataclasses.dataclass(frozen=True)
class Rejection:
    """Why a run was rejected."""

    code: str
    message: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class RejectedRun(RunDocument):
    """The document of a run that was rejected: its files are in the staging folder."""

    refused: Rejection


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompactionDocument:
    """The document of a compaction.

    Attributes:
      compacted: the runs, and earlier compactions, whose rows it holds.
      labeling_keys: those of its rows.
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
    """Returns the document of the run, or the compaction, of a name.

    Raises:
      UnusableFileError: it is of another schema version, says what no run writes, or names files of another run.
    """
    is_compaction = isinstance(document, dict) and "compacted" in document
    kind: type[CommittedDocument] = CompactionDocument if is_compaction else RunDocument
    found = _of_version(kind, uri, document)
    if found.run_id != run_id:
        raise wrong_value(uri, "run_id", found.run_id)
    found.files.require_own(uri, run_id)
    return found


def rejected_run(uri: str, document: object) -> RejectedRun:
    """Returns the document of a rejected run; raises as `committed_document`."""
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
