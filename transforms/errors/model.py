"""Errors of a model, and of one clip in a model."""

from __future__ import annotations

from reelbeam.transforms.errors.base import ReelbeamError


class InferenceError(ReelbeamError):
    """The model failed on this clip alone, or returned values that are not numbers."""

    code = "inference_failed"


class OutOfMemoryError(InferenceError):
    """The engine ran out of memory on one clip."""

    code = "out_of_memory"
    transient = True


class PredecessorLostError(InferenceError):
    """A Stream model returned no result for the previous clip, whose state this clip continues."""

    code = "predecessor_lost"


class ModelError(ReelbeamError):
    """The model cannot be used; no run starts without one."""

    code = "model_error"


class ModelNotFoundError(ModelError):
    """The value is neither a name in the catalog nor the address of a model; or its store has no client here."""

    code = "model_not_found"


class ModelDownloadError(ModelError):
    """The hub could not be reached, or the download was interrupted."""

    code = "model_download_failed"
    transient = True


class NotASavedModelError(ModelError):
    """The folder holds no SavedModel."""

    code = "not_a_saved_model"


class SignatureError(ModelError):
    """The SavedModel does not take one image input of rank 5 and give one [N, C] output."""

    code = "unsupported_signature"


class LabelMapError(ModelError):
    """The label file is unreadable, or its length differs from the model's outputs."""

    code = "bad_label_map"
