"""Texts of the docs: the meaning of columns and the remedies of error codes. No Beam.

`tools/make_docs.py` generates docs/output.md and docs/errors.md from them. It fails if a column or a code lacks its
text, or if a text has no column or code. The meaning of a code is in the docstring of its class in `errors/`.
"""

from __future__ import annotations

REMEDIES: dict[str, str] = {
    "invalid_config": "correct the flag or the path that the message names",
    "media_error": "see the message",
    "invalid_input": "pass a URI or a path, or fields with `video_uri`; the message names the value",
    "not_found": "check the path; pass a folder as an input, not in a list",
    "video_changed": "run again",
    "storage_error": "check permissions and network, then run again",
    "unsupported_uri": "install the extra: `reelbeam[gcp]`, `reelbeam[aws]`, `apache-beam[hadoop]` or "
    "`apache-beam[azure]`",
    "empty_file": "upload it again",
    "file_too_large": "raise the limit that the message names, then pass `--retry_failed file_too_large`",
    "not_a_video": "upload it again; `reelbeam probe` prints more",
    "no_video_stream": "leave it out",
    "unsupported_codec": "convert it, for example to H.264",
    "encrypted_video": "decrypt it",
    "no_frames": "record it again, or join the segments",
    "corrupt_video": "check that it plays, or upload it again",
    "over_limit": "raise the limit that the message names, or convert the video; then pass `--retry_failed over_limit`",
    "range_outside_video": "correct `start_seconds` and `end_seconds`, or leave `end_seconds` empty",
    "decoder_failed": "see the message",
    "decoder_crashed": "check that the file plays, and report it: it may be hostile",
    "decoder_timeout": "if the video plays, raise `--decode_deadline_seconds`",
    "decoder_out_of_memory": "raise `--decoder_memory_bytes` if the pictures are that large, then pass "
    "`--retry_failed decoder_out_of_memory`; otherwise the file is damaged",
    "decoder_protocol_error": "treat the file as hostile, and report it",
    "inference_failed": "see the message; try the other `--engine`",
    "out_of_memory": "lower `--num_threads`, or choose a smaller model",
    "predecessor_lost": "the lost clip has its own row: fix its cause, or label without `--carry_state`",
    "model_error": "see the message",
    "model_not_found": "correct the name or the address; `reelbeam models` lists the catalog",
    "model_download_failed": "check the network, then run again",
    "not_a_saved_model": "pass the folder that holds `saved_model.pb`, or an archive of it",
    "unsupported_signature": "export the model with one image input [N, T, H, W, 3]",
    "bad_label_map": "pass `--labels FILE` with one label for each output of the model",
    "run_failed": "see the message, then run again",
    "too_many_failures": "look at the failed videos that are printed, or raise `--max_failure_ratio`",
    "rows_do_not_add_up": "report it: this is a bug",
    "output_locked": "wait for the other run, or pass `--wait_for_lock`",
    "lock_lost": "run again",
}
"""The remedy for each error code."""

_INPUT = {
    "video_uri": "absolute path or URI of the video, without query, user name and password",
    "range_start_ms": "start of the labeled range in the video; null for the whole video",
    "range_end_ms": "end of that range; null for the whole video and for a range up to the video's end",
}
_RUN = {"run_id": "name of the run that wrote the row"}
_TOP = {
    "top_label": "first entry of `labels`; `nothing recognized` if no label passed `--min_score` and `--thresholds`; "
    "null if the video failed",
    "top_score": "its score; null without a label",
}

_VIDEOS = {
    **_INPUT,
    "status": "`ok`: every planned clip has scores; `partial`: some have; `failed`: none has",
    **_TOP,
    "labels": "labels, highest score first: `label`, `class_id`, `score` (mean of the clips), `max_score` (best clip)",
    "num_planned_clips": "clips that were planned",
    "num_clips": "clips that have scores",
    "error_code": "code of the first failure, by segment and clip; null for `ok`",
    "error_message": "its message",
    "duration_ms": "duration of the labeled range, or of the whole video",
    "width": "width of the decoded pictures, before the container's cropping and rotation",
    "height": "height of the decoded pictures, likewise",
    "rotation_degrees": "clockwise rotation that shows the picture upright: 0, 90, 180 or 270",
    "source_fps": "average frame rate; null for a single frame",
    "num_frames": "frames in the video stream",
    "num_discontinuities": "jumps of the stream's clock that were bridged, see [sampling](sampling.md#broken-times)",
    "codec": "codec of the video stream, as FFmpeg names it",
    "container": "container, as FFmpeg names its demuxer",
    "num_video_streams": "video streams in the file, without cover art",
    "has_audio": "whether the file has an audio stream",
    "size_bytes": "size of the file; null if it is missing",
    "content_version": "version of the content: etag, generation or modification time; empty if unknown",
    "metadata": "further columns of the input list, as a map",
    "model": "name of the model",
    "model_fingerprint": "digest of the model",
    "label_map_fingerprint": "digest of the label map",
    "sampling_fingerprint": "digest of the options that choose clips and frames",
    "engine": "`openvino` or `tensorflow`",
    "precision": "`float32` or `bfloat16`",
    "output_activation": "`logits`, `softmax` or `sigmoid`, see [models](models.md#what-scores-mean)",
    "decoder_version": "versions of PyAV and FFmpeg",
    "attempts": "runs that tried this content since it was last labeled, this one included",
    "transient": "whether a later attempt may succeed",
    "uri_key": "64-bit hash of the URI and the range, to find many videos in many rows",
    **_RUN,
    "labeled_at": "start of the run, or of its part; later than all earlier rows, even if a clock was ahead",
    "schema_version": "version of these columns",
}

_CLIPS = {
    **_INPUT,
    "clip_index": "number of the clip in its video, from 0",
    "start_ms": "start of the clip in the video",
    "end_ms": "end of the clip, at most the end of the video",
    **_TOP,
    "labels": "labels, highest score first: `label`, `class_id`, `score` in [0, 1]",
    "entropy": "entropy of the scores, in nats: 0 if the model is sure",
    "log_sum_exp": "log-sum-exp of the logits: what a softmax drops; see [models](models.md#what-scores-mean)",
    "num_frames": "frames of the clip",
    "num_real_frames": "frames that are neither repeats nor replacements of frames that cannot be decoded",
    **_RUN,
    "logits": "only with `--save_logits`: float16, one for each class",
    "embedding": "only with `--save_embeddings`: float16, the activations before the classifier",
}

_ERRORS = {
    **_INPUT,
    "segment_index": "segment that was lost; null if the whole video was",
    "clip_index": "clip that was lost; null if the segment or the whole video was",
    "stage": "step that failed: `list`, `plan`, `decode` or `classify`",
    "code": "error code, see [errors](errors.md)",
    "message": "what happened, the offending value, and what to do",
    "transient": "whether a later attempt may succeed",
    **_RUN,
}

COLUMNS: dict[str, dict[str, str]] = {"videos": _VIDEOS, "clips": _CLIPS, "errors": _ERRORS}
"""The meaning of each column, by table, in the order of the schema."""
