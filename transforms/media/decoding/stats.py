"""What decoding has cost, and how it went."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class DecodeStats:
    """Statistics of `decode_clips`, and of a probe in a sandbox.

    Attributes:
      full_decodes: the number of decode ranges that fell back from the fast path to a full decode. Streams without a
        proven fast path are not counted.
      reason: the reason for the last fallback.
      cpu_seconds: the CPU time of the decoder process, user and system.
      scale_cpu_seconds: the part of it for cropping and scaling frames. A decoder process that is killed or crashes
        does not report its part.
      bytes_fetched: the bytes of a remote video that were read from its store.
      decoder_wait_seconds: the time that the caller waited for the decoder process.
      model_wait_seconds: the time that the decoder process waited until the caller took a clip, reported as
        `scale_cpu_seconds` is.
      store_wait_seconds: the time that the caller waited for bytes of a remote video.

    Without a sandbox, only the first two and `scale_cpu_seconds` are set. The sandbox adds the others at the end of a
    call.
    """

    full_decodes: int = 0
    reason: str = ""
    cpu_seconds: float = 0.0
    scale_cpu_seconds: float = 0.0
    bytes_fetched: int = 0
    decoder_wait_seconds: float = 0.0
    model_wait_seconds: float = 0.0
    store_wait_seconds: float = 0.0

    def add(self, other: DecodeStats) -> None:
        """Adds other statistics; keeps the reason unless the other one has a reason."""
        for field in dataclasses.fields(self):
            if field.name != "reason":
                setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
        self.reason = other.reason or self.reason
