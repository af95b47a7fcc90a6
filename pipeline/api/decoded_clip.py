"""DecodedClip: the frames of one clip."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True, eq=False)
class DecodedClip:
    """The frames of one clip.

    Attributes:
      clip_index: the number of the clip in its video, from 0.
      start_seconds, end_seconds: the interval of the video that the clip represents, from the video's first frame.
      frames: uint8 [T, H, W, 3], RGB, upright, scaled and cropped; T, H and W as in the model's preset. A clip for a
        Stream model may have fewer frames. Frame k is the one that is shown at start_seconds + k / target_fps.
      num_real_frames: the frames that are not repeats: a video shorter than a clip loops, for example.
    """

    clip_index: int
    start_seconds: float
    end_seconds: float
    frames: npt.NDArray[np.uint8]
    num_real_frames: int

    def __repr__(self) -> str:
        shape = ", ".join(map(str, self.frames.shape))
        span = f"{self.start_seconds:g} s to {self.end_seconds:g} s"
        return f"DecodedClip({self.clip_index}: {span}, frames: uint8 [{shape}], {self.num_real_frames} real)"
