"""What to do about each error code: for docs/errors.md, which `tools/make_docs.py` generates. No Beam.

What a code means is in the docstring of its class in `errors.py`. A code without a remedy fails the generator.
"""

from __future__ import annotations

REMEDIES: dict[str, str] = {
    "invalid_config": "correct the flag that the message names",
    "media_error": "see the message",
    "not_found": "check the path; pass a folder as an input, not in a list",
    "video_changed": "run again",
    "storage_error": "check permissions and network, then run again",
    "unsupported_uri": "install the extra: `reelbeam[gcp]`, `reelbeam[aws]`, `apache-beam[hadoop]` or "
    "`apache-beam[azure]`",
    "empty_file": "upload it again",
    "file_too_large": "raise the cap that the message names, then pass `--retry_failed file_too_large`",
    "not_a_video": "upload it again; `reelbeam probe` prints more",
    "no_video_stream": "leave it out",
    "unsupported_codec": "convert it, for example to H.264",
    "encrypted_video": "decrypt it",
    "no_frames": "record it again, or join the segments",
    "corrupt_video": "check that it plays, or upload it again",
    "over_limit": "raise the cap that the message names, or convert the video; then pass `--retry_failed over_limit`",
    "range_outside_video": "correct `start_seconds` and `end_seconds`, or leave `end_seconds` empty",
    "decoder_failed": "see the message",
    "decoder_crashed": "check that the file plays, and report it: it may be hostile",
    "decoder_timeout": "if the video plays, raise `--decode_deadline_seconds`",
    "decoder_out_of_memory": "raise `--decoder_memory_bytes` if the pictures are that large, then pass "
    "`--retry_failed decoder_out_of_memory`; otherwise the file is damaged",
    "decoder_garbage": "treat the file as hostile, and report it",
    "inference_failed": "see the message; try the other `--engine`",
    "out_of_memory": "lower `--num_threads`, or choose a smaller model",
    "predecessor_lost": "the lost clip has its own row: fix its cause",
    "model_error": "see the message",
    "model_not_found": "`reelbeam models` lists the catalog",
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
