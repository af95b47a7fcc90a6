"""Everything that may go wrong, as one tree. No Beam.

    ReelbeamError
    ├── ConfigError            invalid_config        a flag or a combination of flags: exit code 2
    ├── StorageError           storage_error         a file cannot be used: an input list, a model, the output
    │   ├── ObjectNotFoundError    not_found
    │   ├── ObjectChangedError     video_changed         transient
    │   ├── ObjectTooLargeError    file_too_large
    │   ├── UnsupportedUriError    unsupported_uri
    │   ├── AccessDeniedError      storage_error
    │   │   └── CredentialsError       storage_error     exit code 2
    │   ├── RequestRejectedError   storage_error
    │   ├── UnusableFileError      storage_error
    │   └── UnavailableError       storage_error         transient
    ├── MediaError             (one input's fault: becomes a row, the run goes on)
    │   ├── VideoNotFoundError     not_found
    │   ├── VideoChangedError      video_changed         transient
    │   ├── UnreadableVideoError   storage_error         transient
    │   ├── UnsupportedVideoUriError   unsupported_uri
    │   ├── EmptyFileError         empty_file
    │   ├── FileTooLargeError      file_too_large
    │   ├── NotAVideoError         not_a_video
    │   ├── NoVideoStreamError     no_video_stream
    │   ├── UnsupportedCodecError  unsupported_codec
    │   ├── EncryptedVideoError    encrypted_video
    │   ├── NoFramesError          no_frames
    │   ├── CorruptVideoError      corrupt_video
    │   ├── OverLimitError         over_limit
    │   ├── RangeOutsideVideoError range_outside_video
    │   └── DecoderFailedError     decoder_failed        the decoder process had to be replaced
    │       ├── DecoderCrashedError      decoder_crashed
    │       ├── DecoderTimeoutError      decoder_timeout       transient
    │       ├── DecoderOutOfMemoryError  decoder_out_of_memory
    │       └── DecoderProtocolError      decoder_protocol_error
    ├── InferenceError         inference_failed      one clip's fault: becomes a row
    │   ├── OutOfMemoryError       out_of_memory         transient
    │   └── PredecessorLostError   predecessor_lost      of a Stream model: the clip before gave no state
    ├── ModelError             model_error           no run without a model: the job does not start
    │   ├── ModelNotFoundError     model_not_found
    │   ├── ModelDownloadError     model_download_failed transient
    │   ├── NotASavedModelError    not_a_saved_model
    │   ├── SignatureError         unsupported_signature
    │   └── LabelMapError          bad_label_map
    └── RunError               run_failed            the run as a whole: exit code 1
        ├── TooManyFailuresError   too_many_failures     exit code 3, nothing is committed
        ├── ReconciliationError    rows_do_not_add_up    rows are missing or doubled: a bug, nothing is committed
        ├── OutputLockedError      output_locked         another run writes there: exit code 5, nothing is begun
        └── LockLostError          lock_lost             another run took the output over: nothing is committed

A code is an interface: it is in the errors table and in counters, and is never renamed. `reference.py` says what to do
about each. A storage error has the code of the MediaError that it becomes where a video is opened
(`reelbeam.transforms.storage.videos`); nothing else converts one to the other. A bug (TypeError, KeyError, ...) is not
in this tree and fails the job.
"""

from __future__ import annotations

from collections.abc import Iterator


class ReelbeamError(Exception):
    """Base of the tree. `code` names the error for machines; `transient` says that a later try may succeed."""

    code: str = "error"
    transient: bool = False


class ConfigError(ReelbeamError):
    """A flag, or a combination of flags, that cannot work."""

    code = "invalid_config"


class StorageError(ReelbeamError):
    """A file or an object cannot be used: an input list, a label file, a model, or a file of the output.

    Its subclass says whether a later try may succeed (`transient`).
    """

    code = "storage_error"


class ObjectNotFoundError(StorageError):
    """Nothing is at the URI."""

    code = "not_found"


class ObjectChangedError(StorageError):
    """The object is not the version that was listed."""

    code = "video_changed"
    transient = True


class ObjectTooLargeError(StorageError):
    """The object is larger than `--spool_bytes`."""

    code = "file_too_large"


class UnsupportedUriError(StorageError):
    """There is no file system for the URI's scheme, or its client is not installed."""

    code = "unsupported_uri"


class AccessDeniedError(StorageError):
    """Permission is denied, or the disk is read-only."""


class CredentialsError(AccessDeniedError):
    """There are no credentials for a store, or the store rejects them."""


class RequestRejectedError(StorageError):
    """The disk or the store rejects the request for another reason; the same request would fail again."""


class UnusableFileError(StorageError):
    """The content is not what this release writes: damaged, changed by others, or of another schema version."""


class UnavailableError(StorageError):
    """The store does not respond, or the request failed for a reason that may be gone later."""

    transient = True


class MediaError(ReelbeamError):
    """Any other fault of one video.

    The step that meets it catches it and turns it into a row.
    """

    code = "media_error"


class VideoNotFoundError(MediaError):
    """Nothing is at the URI, or it disappeared after it was listed."""

    code = "not_found"


class VideoChangedError(MediaError):
    """The file or object was written again after it was listed, or had no version that could be compared."""

    code = "video_changed"
    transient = True


class UnreadableVideoError(MediaError):
    """The store refused the request, or the connection failed six times: permissions, network, time-out."""

    code = "storage_error"
    transient = True


class UnsupportedVideoUriError(MediaError):
    """There is no file system for the URI's scheme, or its client is not installed."""

    code = "unsupported_uri"


class EmptyFileError(MediaError):
    """The file has no bytes."""

    code = "empty_file"


class FileTooLargeError(MediaError):
    """The file is larger than `--max_video_bytes`, or is in an object store and larger than `--spool_bytes`."""

    code = "file_too_large"


class NotAVideoError(MediaError):
    """FFmpeg cannot read the file: text, a picture, noise, an MP4 cut off before its index, a media segment alone."""

    code = "not_a_video"


class NoVideoStreamError(MediaError):
    """The file has only sound, subtitles or cover art."""

    code = "no_video_stream"


class UnsupportedCodecError(MediaError):
    """This build of FFmpeg has no decoder for the codec."""

    code = "unsupported_codec"


class EncryptedVideoError(MediaError):
    """The video is encrypted: Common Encryption, FairPlay, Matroska, scrambled MPEG-TS, Windows Media DRM."""

    code = "encrypted_video"


class NoFramesError(MediaError):
    """The video stream has no frame: an interrupted recording, or an initialization segment alone."""

    code = "no_frames"


class CorruptVideoError(MediaError):
    """The stream is damaged where clips need it; whole clips are kept (`partial`)."""

    code = "corrupt_video"


class OverLimitError(MediaError):
    """The file exceeds a cap: pixels, duration, streams, packets or clips.

    The duration also counts as too long where it is absurd for the file's size.
    """

    code = "over_limit"


class RangeOutsideVideoError(MediaError):
    """The range that the list asks for begins or ends after the video does."""

    code = "range_outside_video"


class DecoderFailedError(MediaError):
    """Any other failure of the decoder process. It was killed; the next file gets a new one."""

    code = "decoder_failed"


class DecoderCrashedError(DecoderFailedError):
    """The decoder process ended: a fault in native code, or somebody killed it; whole clips are kept."""

    code = "decoder_crashed"


class DecoderTimeoutError(DecoderFailedError):
    """The decoder took longer than the deadline: the file, or a busy machine; whole clips are kept."""

    code = "decoder_timeout"
    transient = True


class DecoderOutOfMemoryError(DecoderFailedError):
    """Decoding takes more memory than `--decoder_memory_bytes`."""

    code = "decoder_out_of_memory"


class DecoderProtocolError(DecoderFailedError):
    """The decoder process sent an invalid message: the file may have taken it over."""

    code = "decoder_protocol_error"


class InferenceError(ReelbeamError):
    """The model failed on this clip alone, or answered with values that are not numbers."""

    code = "inference_failed"


class OutOfMemoryError(InferenceError):
    """The engine found no memory for one clip."""

    code = "out_of_memory"
    transient = True


class PredecessorLostError(InferenceError):
    """A Stream model gave no answer for the clip before this one, whose state it continues."""

    code = "predecessor_lost"


class ModelError(ReelbeamError):
    """The model cannot be used; no run starts without one."""

    code = "model_error"


class ModelNotFoundError(ModelError):
    """Neither a catalog name nor a place where a model is."""

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


class RunError(ReelbeamError):
    """The run as a whole failed."""

    code = "run_failed"


class TooManyFailuresError(RunError):
    """More of the inputs failed than `--max_failure_ratio` allows."""

    code = "too_many_failures"


class ReconciliationError(RunError):
    """The written rows do not add up to the inputs."""

    code = "rows_do_not_add_up"


class OutputLockedError(RunError):
    """Another run writes to the output."""

    code = "output_locked"


class LockLostError(RunError):
    """The run's lease of the output was over before the run was, and another run has taken over."""

    code = "lock_lost"


def error_classes(root: type[ReelbeamError] = ReelbeamError) -> Iterator[type[ReelbeamError]]:
    """Yields every class below `root`, parents first, in the order of the tree above."""
    for child in root.__subclasses__():
        yield child
        yield from error_classes(child)
