"""Errors of a video: a storage error becomes one where a video is opened, and nowhere else."""

from __future__ import annotations

import pathlib

import pytest
from faulty_proxy import FaultyProxy
from object_stores import S3Server

from reelbeam.transforms import errors, storage
from reelbeam.transforms.records import VideoRef
from reelbeam.transforms.storage.spool.folder import SpoolConfig

MAX_BYTES = 1 << 30


@pytest.mark.parametrize(
    "kind", [errors.StorageError, *errors.error_classes(errors.StorageError)], ids=lambda kind: kind.__name__
)
def test_a_storage_error_while_a_video_is_read_is_the_video_s(
    tmp_path: pathlib.Path, kind: type[errors.StorageError]
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"1")
    video = storage.identified(VideoRef(str(path)))
    with pytest.raises(errors.MediaError, match="^broken off$") as caught, storage.local_file(video, MAX_BYTES):
        raise kind("broken off")
    assert caught.value.code == kind.code and isinstance(caught.value.__cause__, kind)


def test_a_video_without_access_is_tried_again_in_later_runs(s3: S3Server, proxy: FaultyProxy) -> None:
    """Permissions of single videos are often mended, so their rows are transient."""
    uri = s3.put("a.mp4", b"12345")
    proxy.fault = lambda request: "403"
    with pytest.raises(errors.CredentialsError) as of_store:
        storage.stat(uri)
    with pytest.raises(errors.UnreadableVideoError) as of_video:
        storage.identified(VideoRef(uri))
    assert (of_store.value.transient, of_video.value.transient) == (False, True)
    assert str(of_store.value) == str(of_video.value)


def test_a_video_that_the_spool_cannot_hold_is_too_large(
    s3: S3Server, proxy: FaultyProxy, tmp_path: pathlib.Path
) -> None:
    video = storage.video_of(storage.stat(s3.put("a.mp4", b"12345")))
    spool = SpoolConfig(str(tmp_path), max_bytes=4)
    with (
        pytest.raises(errors.FileTooLargeError, match="raise --spool_bytes"),
        storage.local_file(video, MAX_BYTES, spool),
    ):
        pass
