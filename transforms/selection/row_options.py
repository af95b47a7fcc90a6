"""Options of rows that are not in the labeling key: which labels they keep, and optional columns.

A labeled video keeps its row, even if a later run has other options. Such a run reports how many videos it skipped with
other options.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reelbeam.transforms.output.run_document import CommittedDocument


@dataclasses.dataclass(frozen=True)
class RowOptions:
    """The flags of a run that decide what its rows contain; the names are those in a run's configuration.

    Of the thresholds, the fingerprint counts; the name of their file is for messages.
    """

    top_k: int
    min_score: float
    save_logits: bool
    save_embeddings: bool
    thresholds: str | None = None
    thresholds_fingerprint: str | None = None

    @classmethod
    def of_run(cls, document: CommittedDocument) -> RowOptions | None:
        """Returns the options of the run with that document; None if it does not have them."""
        # Here, since they import Beam and Arrow, and flags are parsed without these.
        from reelbeam.transforms.output.run_document import RunDocument
        from reelbeam.transforms.typed_json import WrongValueError, from_json

        try:
            return from_json(cls, document.configuration) if isinstance(document, RunDocument) else None
        except WrongValueError:
            return None

    def to_flags(self) -> str:
        """Returns them as flags, for messages.

        >>> RowOptions(5, 0.0, save_logits=False, save_embeddings=True).to_flags()
        '--top_k 5, --min_score 0, --save_embeddings'
        """
        switches = [f"--{name}" for name in ("save_logits", "save_embeddings") if getattr(self, name)]
        thresholds = [] if self.thresholds is None else [f"--thresholds {self.thresholds}"]
        return ", ".join([f"--top_k {self.top_k}", f"--min_score {self.min_score:g}", *thresholds, *switches])

    def would_change(self, document: CommittedDocument) -> bool:
        """Returns whether rows of the run with that document are known to differ from those with these options."""
        made = RowOptions.of_run(document)
        return made is not None and not made.fit(self)

    def fit(self, wanted: RowOptions) -> bool:
        """Returns whether rows with these options satisfy `wanted`. Additional columns are accepted."""
        return (
            (self.top_k, self.min_score, self.thresholds_fingerprint)
            == (wanted.top_k, wanted.min_score, wanted.thresholds_fingerprint)
            and self.save_logits >= wanted.save_logits
            and self.save_embeddings >= wanted.save_embeddings
        )
