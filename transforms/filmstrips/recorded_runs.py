"""Read from the documents of runs how they sampled their clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from reelbeam.transforms.errors import StorageError
from reelbeam.transforms.filmstrips.filmstrip import NoFilmstrip
from reelbeam.transforms.media.decoding.model_input import ModelInput, RecordedSettings, UnrecordedError
from reelbeam.transforms.media.limits import DEFAULT_LIMITS, DecoderLimits
from reelbeam.transforms.output.documents import is_name
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.output.runs import read_run


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """How a run decoded its videos.

    Attributes:
      model_input: instants, scale and crop.
      limits: the limits of a video and of a decoder process: those of the run, or the defaults where these are lower.
      max_video_bytes: the maximum size of a file.
    """

    model_input: ModelInput
    limits: DecoderLimits
    max_video_bytes: int


def read_settings(output: str, run_ids: Iterable[str], allow_unconfined: bool) -> dict[str, RunSettings | NoFilmstrip]:
    """Returns the settings of each run; a NoFilmstrip with the reason if its document does not have them.

    Args:
      output: the folder or prefix of the output.
      run_ids: the names of the runs.
      allow_unconfined: see `DecoderLimits`. It is not read from the document, which anyone with write access to the
        output can change.
    """
    found: dict[str, RunSettings | NoFilmstrip] = {}
    for run_id in dict.fromkeys(run_ids):
        try:
            found[run_id] = _settings_of(output, run_id, allow_unconfined)
        except (StorageError, UnrecordedError) as error:
            found[run_id] = NoFilmstrip("unreadable", str(error))
    return found


def _settings_of(output: str, run_id: str, allow_unconfined: bool) -> RunSettings:
    document = read_run(RunPaths(output, run_id)) if is_name(run_id) else None
    if document is None:
        raise UnrecordedError("the run of this row has no document in the output")
    recorded = RecordedSettings.of(document.configuration)
    model_input = recorded.model_input()
    if model_input.fingerprint != document.sampling_fingerprint:
        raise UnrecordedError(f"the settings in the document of {run_id} do not have its sampling_fingerprint")
    limits = _lower_limits(recorded.decoder_limits, allow_unconfined)
    return RunSettings(model_input, limits, recorded.max_video_bytes)


def _lower_limits(recorded: DecoderLimits, allow_unconfined: bool) -> DecoderLimits:
    """Returns the lower one of each recorded limit and its default. A document is not trusted."""
    lowest = {
        field.name: min(getattr(recorded, field.name), getattr(DEFAULT_LIMITS, field.name))
        for field in dataclasses.fields(DecoderLimits)
    }
    return dataclasses.replace(DecoderLimits(**lowest), allow_unconfined=allow_unconfined)
