"""All errors, as one tree. No Beam.

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
    ├── MediaError             (one input's fault: becomes a row, the run continues)
    │   ├── InvalidInputError      invalid_input         of another pipeline, see `reelbeam.LabelVideos`
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
    │   └── PredecessorLostError   predecessor_lost      of a Stream model: the previous clip has no state
    ├── ModelError             model_error           no run without a model: the job does not start
    │   ├── ModelNotFoundError     model_not_found
    │   ├── ModelDownloadError     model_download_failed transient
    │   ├── NotASavedModelError    not_a_saved_model
    │   ├── SignatureError         unsupported_signature
    │   └── LabelMapError          bad_label_map
    └── RunError               run_failed            the run as a whole: exit code 1
        ├── TooManyFailuresError   too_many_failures     exit code 3, nothing is committed
        ├── ReconciliationError    rows_do_not_add_up    rows are missing or duplicated: a bug, nothing is committed
        ├── OutputLockedError      output_locked         another run writes there: exit code 5, nothing is started
        └── LockLostError          lock_lost             another run took the output over: nothing is committed

A code is an interface: it is in the errors table and in counters, and is never renamed. `reference.py` says what to do
about each. A storage error has the code of the MediaError that it becomes where a video is opened
(`reelbeam.transforms.storage.videos`); nothing else converts one to the other. A bug (TypeError, KeyError, ...) is not
in this tree and fails the job.

    base.py     the base of the tree
    storage.py  StorageError and its subclasses
    video.py    MediaError and its subclasses
    model.py    InferenceError, ModelError and their subclasses
    run.py      ConfigError, RunError and its subclasses
"""

from reelbeam.transforms.errors.base import (
    ReelbeamError,
    error_classes,
)
from reelbeam.transforms.errors.model import (
    InferenceError,
    LabelMapError,
    ModelDownloadError,
    ModelError,
    ModelNotFoundError,
    NotASavedModelError,
    OutOfMemoryError,
    PredecessorLostError,
    SignatureError,
)
from reelbeam.transforms.errors.run import (
    ConfigError,
    LockLostError,
    OutputLockedError,
    ReconciliationError,
    RunError,
    TooManyFailuresError,
)
from reelbeam.transforms.errors.storage import (
    AccessDeniedError,
    CredentialsError,
    ObjectChangedError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    RequestRejectedError,
    StorageError,
    UnavailableError,
    UnsupportedUriError,
    UnusableFileError,
)
from reelbeam.transforms.errors.video import (
    CorruptVideoError,
    DecoderCrashedError,
    DecoderFailedError,
    DecoderOutOfMemoryError,
    DecoderProtocolError,
    DecoderTimeoutError,
    EmptyFileError,
    EncryptedVideoError,
    FileTooLargeError,
    InvalidInputError,
    MediaError,
    NoFramesError,
    NotAVideoError,
    NoVideoStreamError,
    OverLimitError,
    RangeOutsideVideoError,
    UnreadableVideoError,
    UnsupportedCodecError,
    UnsupportedVideoUriError,
    VideoChangedError,
    VideoNotFoundError,
)

__all__ = [
    "AccessDeniedError",
    "ConfigError",
    "CorruptVideoError",
    "CredentialsError",
    "DecoderCrashedError",
    "DecoderFailedError",
    "DecoderOutOfMemoryError",
    "DecoderProtocolError",
    "DecoderTimeoutError",
    "EmptyFileError",
    "EncryptedVideoError",
    "FileTooLargeError",
    "InferenceError",
    "LabelMapError",
    "LockLostError",
    "MediaError",
    "ModelDownloadError",
    "ModelError",
    "ModelNotFoundError",
    "NoFramesError",
    "NoVideoStreamError",
    "NotASavedModelError",
    "NotAVideoError",
    "ObjectChangedError",
    "ObjectNotFoundError",
    "ObjectTooLargeError",
    "OutOfMemoryError",
    "OutputLockedError",
    "OverLimitError",
    "PredecessorLostError",
    "RangeOutsideVideoError",
    "ReconciliationError",
    "ReelbeamError",
    "RequestRejectedError",
    "RunError",
    "SignatureError",
    "StorageError",
    "TooManyFailuresError",
    "UnavailableError",
    "UnreadableVideoError",
    "UnsupportedCodecError",
    "UnsupportedUriError",
    "UnsupportedVideoUriError",
    "UnusableFileError",
    "VideoChangedError",
    "VideoNotFoundError",
    "error_classes",
    "InvalidInputError",
]
