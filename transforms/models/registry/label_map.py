"""The names of a model's classes: a text file with one label per line, in the order of the model's outputs."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import pathlib

from reelbeam.transforms.errors import LabelMapError, ModelNotFoundError
from reelbeam.transforms.models.registry import resolver
from reelbeam.transforms.models.registry.catalog import KINETICS_600
from reelbeam.transforms.models.registry.plain_files import read_plain
from reelbeam.transforms.records import NOTHING_RECOGNIZED
from reelbeam.transforms.redaction import without_query
from reelbeam.transforms.wording import counted

_MAX_BYTES = 16 << 20


@dataclasses.dataclass(frozen=True)
class LabelMap:
    """A model's classes.

    Attributes:
      labels: the label of class k at position k.
      source: the file that they were read from, for messages.

    Raises:
      LabelMapError: there is no label, or one is empty, repeated or reserved; the message names the line.
    """

    labels: tuple[str, ...]
    source: str = dataclasses.field(default="the label map", compare=False)

    def __post_init__(self) -> None:
        if not self.labels:
            raise LabelMapError(f"{self.source} holds no labels: write one a line, in the order of the model's outputs")
        first_lines: dict[str, int] = {}
        for line, label in enumerate(self.labels, start=1):
            if not label.strip():
                raise LabelMapError(f"{self.source}, line {line}: empty; every line must name the class of that output")
            if label in first_lines:
                raise LabelMapError(
                    f"{self.source}, line {line}: {label!r} is on line {first_lines[label]} already; "
                    "rows could not distinguish the two classes"
                )
            if label == NOTHING_RECOGNIZED:
                raise LabelMapError(
                    f"{self.source}, line {line}: {label!r} is the answer in rows without a label: rename the class"
                )
            first_lines[label] = line

    @classmethod
    def load(cls, path: pathlib.Path) -> LabelMap:
        """Reads a UTF-8 text file with the line ends of any system; the last line end is optional.

        Raises:
          LabelMapError: the file is missing, unreadable or not UTF-8, or its lines are not a valid label map.
        """
        try:
            data = read_plain(path, _MAX_BYTES)
        except OSError as error:
            raise LabelMapError(f"cannot read the label file {path}: {error.strerror}; pass --labels FILE") from error
        return cls.parse(data, str(path))

    @classmethod
    def parse(cls, data: bytes, source: str) -> LabelMap:
        """Parses the content of a label file, see `load`; `source` names it in messages."""
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise LabelMapError(
                f"{source} is not UTF-8 text (byte {error.start}): save the label file as UTF-8"
            ) from error
        # Not splitlines, which also splits at characters that a label may contain, such as U+2028.
        lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []
        return cls(tuple(line.strip() for line in lines), source)

    @property
    def sha256(self) -> str:
        """The hex digest of the labels, independent of the file's line ends: part of a run's model fingerprint."""
        return hashlib.sha256("".join(f"{label}\n" for label in self.labels).encode()).hexdigest()

    def check(self, num_classes: int) -> None:
        """Checks that there is a label for each of the model's outputs.

        Raises:
          LabelMapError: the numbers differ.
        """
        if len(self.labels) != num_classes:
            raise LabelMapError(
                f"{self.source} holds {counted(len(self.labels), 'label')} but the model gives "
                f"{counted(num_classes, 'score')}: pass the label file that belongs to the model with --labels"
            )


def resolve_labels(handle: str) -> pathlib.Path:
    """Returns the label file of a handle: `package:PKG/PATH`, a path or a file:// URL.

    Raises:
      LabelMapError: the handle is of another kind, or the file does not exist.
    """
    try:
        path = resolver.local_path(handle)
    except ModelNotFoundError as error:
        raise LabelMapError(f"no label file: {error}") from error
    if path is None:
        raise LabelMapError(
            f"labels cannot be read from {without_query(handle)}: copy the file to a local disk, pass --labels FILE"
        )
    if not path.is_file():
        is_misspelled = bool(difflib.get_close_matches(handle.lower(), [KINETICS_600]))
        remedy = f"did you mean {KINETICS_600}?" if is_misspelled else "correct the path"
        raise LabelMapError(f"--labels {handle}: no such file; {remedy}")
    return path
