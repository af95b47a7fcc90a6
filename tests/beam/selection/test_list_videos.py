"""ListVideos: what an input may be, duplicates, and names that look like patterns."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io.filesystem import BeamIOError, FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem
from apache_beam.testing.util import assert_that, equal_to
from audit_events import audited
from faulty_proxy import FaultyProxy
from local_pipeline import LocalPipeline, counters, list_videos
from object_stores import BUCKET, S3Server

from reelbeam.transforms import metrics, storage
from reelbeam.transforms.errors import StorageError, UnsupportedUriError
from reelbeam.transforms.inputs.expansion import expand_input, matches_anything
from reelbeam.transforms.records import VideoRef


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    for name in ("a.mp4", "b.MKV", "notes.txt", "deep/down/c.webm", "video [HD].mp4", "häuser & höfe.mov"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 7)
    return tmp_path


def names(folder: pathlib.Path, given: str) -> list[str]:
    return sorted(os.path.relpath(v.video_uri, folder) for v in expand_input(given, str(folder)))


def test_a_folder_is_searched_in_depth_for_video_extensions(folder: pathlib.Path) -> None:
    expected = ["a.mp4", "b.MKV", "deep/down/c.webm", "häuser & höfe.mov", "video [HD].mp4"]
    assert names(folder, str(folder)) == names(folder, ".") == names(folder, f"{folder}/") == sorted(expected)


def test_patterns_match_videos_and_other_files(folder: pathlib.Path) -> None:
    assert names(folder, "*.mp4") == ["a.mp4", "video [HD].mp4"]
    assert names(folder, "**.webm") == ["deep/down/c.webm"]
    assert names(folder, "note?.txt") == ["notes.txt"]


def test_a_pattern_opens_no_folder_below_its_own_depth(folder: pathlib.Path) -> None:
    opened: list[str] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "os.scandir":
            opened.append(os.path.relpath(arguments[0], folder))

    for pattern, found, folders in (
        ("*.mp4", ["a.mp4", "video [HD].mp4"], ["."]),
        ("*/*.webm", [], [".", "deep"]),
        ("*/d*/*.webm", ["deep/down/c.webm"], [".", "deep", "deep/down"]),
        ("deep/**", ["deep/down/c.webm"], ["deep", "deep/down"]),
    ):
        opened.clear()
        with audited(note):
            assert names(folder, pattern) == found
        assert opened == folders


def test_a_name_with_brackets_is_a_name_before_it_is_a_pattern(folder: pathlib.Path) -> None:
    assert names(folder, "video [HD].mp4") == ["video [HD].mp4"]
    assert names(folder, f"file://{folder}/video [HD].mp4") == ["video [HD].mp4"]


def test_a_missing_file_is_passed_on_to_get_its_row(folder: pathlib.Path) -> None:
    assert list(expand_input("gone.mp4", str(folder))) == [VideoRef(str(folder / "gone.mp4"))]
    assert matches_anything("gone.mp4", str(folder))


def test_a_pattern_that_matches_nothing_is_reported(
    folder: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert not matches_anything("*.avi", str(folder))
    assert not matches_anything(str(tmp_path_factory.mktemp("empty")))


def test_each_video_once_with_size_and_version(folder: pathlib.Path) -> None:
    listing = folder / "list.txt"
    listing.write_text("a.mp4\n\na.mp4\ndeep/down/c.webm\nmissing.mp4\n", encoding="utf-8")
    version = f"mtime:{(folder / 'a.mp4').stat().st_mtime:.6f}"
    with LocalPipeline() as pipeline:
        videos = list_videos(pipeline, [str(folder / "a.mp4"), "*.mp4"], str(listing), str(folder))
        found = videos | beam.Map(lambda v: (os.path.basename(v.video_uri), v.size_bytes))
        assert_that(found, equal_to([("a.mp4", 7), ("video [HD].mp4", 7), ("c.webm", 7), ("missing.mp4", None)]))
        versions = (
            videos
            | "Only" >> beam.Filter(lambda v: v.video_uri.endswith("/a.mp4"))
            | beam.Map(lambda v: v.content_version)
        )
        assert_that(versions, equal_to([version]), label="versions")
    assert counters(pipeline)[metrics.VIDEOS_LISTED] == 4
    assert counters(pipeline)[metrics.DUPLICATES_DROPPED] == 3


def test_metadata_of_a_listed_video_survive_a_mention_without(folder: pathlib.Path) -> None:
    listing = folder / "list.csv"
    listing.write_text("video_uri,camera\na.mp4,7\n", encoding="utf-8")
    with LocalPipeline() as pipeline:
        videos = list_videos(pipeline, [str(folder / "a.mp4")], str(listing), str(folder))
        assert_that(videos | beam.Map(lambda v: v.metadata), equal_to([(("camera", "7"),)]))


def test_of_several_mentions_the_smallest_metadata_win(folder: pathlib.Path) -> None:
    listing = folder / "list.csv"
    listing.write_text("video_uri,camera\na.mp4,8\nb.MKV,9\na.mp4,7\na.mp4,\n", encoding="utf-8")
    with LocalPipeline() as pipeline:
        videos = list_videos(pipeline, [str(folder)], str(listing), str(folder))
        found = videos | beam.Map(lambda v: (os.path.basename(v.video_uri), v.size_bytes, dict(v.metadata)))
        others: list[tuple[str, int, dict[str, str]]] = [
            ("c.webm", 7, {}),
            ("video [HD].mp4", 7, {}),
            ("häuser & höfe.mov", 7, {}),
        ]
        assert_that(found, equal_to([("a.mp4", 7, {"camera": ""}), ("b.MKV", 7, {"camera": "9"}), *others]))
    assert counters(pipeline)[metrics.VIDEOS_LISTED] == 5
    assert counters(pipeline)[metrics.DUPLICATES_DROPPED] == 4


def test_a_name_that_is_not_utf8_can_be_listed_and_opened(tmp_path: pathlib.Path) -> None:
    (tmp_path / os.fsdecode(b"bad_\xff\xfe.mp4")).write_bytes(b"12345")
    with LocalPipeline() as pipeline:
        videos = list_videos(pipeline, [str(tmp_path)])
        found = videos | beam.Map(lambda v: (v.video_uri, v.size_bytes))
        assert_that(found, equal_to([(f"file://{tmp_path}/bad_%FF%FE.mp4", 5)]))
    with storage.local_file(VideoRef(f"file://{tmp_path}/bad_%FF%FE.mp4", 5), 100) as path:
        assert isinstance(path, str)
        assert pathlib.Path(path).read_bytes() == b"12345"


def test_links_and_pipes_with_a_video_name_get_a_row(folder: pathlib.Path) -> None:
    (folder / "dangling.mp4").symlink_to(folder / "nowhere")
    (folder / "loop.mp4").symlink_to(folder / "loop.mp4")
    os.mkfifo(folder / "pipe.mp4")
    assert {"dangling.mp4", "loop.mp4", "pipe.mp4"} <= set(names(folder, "."))


@pytest.mark.parametrize("given", ["nowhere://bucket/*.mp4", "nowhere://bucket/folder/", "nowhere://x/*"])
def test_a_pattern_on_a_store_that_is_not_installed_says_so(given: str) -> None:
    with pytest.raises(UnsupportedUriError, match="reelbeam\\[gcp\\]"):
        matches_anything(given)


def uris(given: str) -> list[str]:
    return [video.video_uri for video in expand_input(given)]


def test_an_object_with_brackets_is_a_name_before_it_is_a_pattern(s3: S3Server, proxy: FaultyProxy) -> None:
    odd, plain = s3.put("a[1].mp4", b"12345"), s3.put("a1.mp4", b"1")
    assert list(expand_input(odd)) == [storage.video_of(storage.stat(odd))]
    proxy.requests.clear()
    assert uris(f"s3://{BUCKET}/a[12].mp4") == [plain]
    assert [request.method for request in proxy.requests] == ["HEAD", "GET"]
    proxy.requests.clear()
    assert uris(f"s3://{BUCKET}/a[12].*") == [plain]
    assert [request.method for request in proxy.requests] == ["GET"]


def test_a_folder_marker_is_not_a_video(s3: S3Server, proxy: FaultyProxy) -> None:
    for key in ("x/", "x/sub.mp4/", "y/"):
        s3.put(key, b"")
    video = s3.put("x/a.mp4", b"1")
    for given in ("x/*", "x/**", "x/", "x", "*/*"):
        assert uris(f"s3://{BUCKET}/{given}") == [video]
    assert not matches_anything(f"s3://{BUCKET}/y/*") and not matches_anything(f"s3://{BUCKET}/y/")


def test_a_folder_is_searched_past_files_that_are_not_videos(
    s3: S3Server, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "50")
    folder = f"s3://{BUCKET}/v/"
    for k in range(150):
        s3.put(f"v/{k:03d}.jpg", b"")
    assert not matches_anything(folder)
    video = s3.put("v/z.mp4", b"1")
    assert uris(folder) == [video] and matches_anything(folder)
    assert not caplog.records
    proxy.requests.clear()
    assert matches_anything(folder, max_others=40)  # of the 150
    assert len(proxy.requests) == 1
    (record,) = caplog.records
    assert "no video among its first 40 files; the run searches the rest" in record.getMessage()


@pytest.mark.parametrize("given", ["videos", "videos/", "videos/*.mp4"])
def test_a_bucket_that_cannot_be_listed_is_not_a_missing_file(s3: S3Server, proxy: FaultyProxy, given: str) -> None:
    proxy.fault = lambda request: "403" if "list-type" in request.path else ""
    with pytest.raises(StorageError, match="permissions"):
        list(expand_input(f"s3://{BUCKET}/{given}"))


def test_files_can_be_named_without_permission_to_list(s3: S3Server, proxy: FaultyProxy) -> None:
    proxy.fault = lambda request: "403" if "list-type" in request.path else ""
    assert uris(s3.put("a.mp4", b"1")) == [f"s3://{BUCKET}/a.mp4"]


def test_a_bucket_that_is_not_there_gets_its_row(s3: S3Server, proxy: FaultyProxy) -> None:
    assert uris("s3://no-such-bucket/a.mp4") == ["s3://no-such-bucket/a.mp4"]


class Disk(LocalFileSystem):
    """Imitates hdfs, which refuses to list a file or a missing path."""

    @classmethod
    def scheme(cls) -> str:
        return "disk"

    def _path(self, url: str) -> str:
        return url.removeprefix("disk://")

    def has_dirs(self) -> bool:
        return True

    def exists(self, path: str) -> bool:
        return super().exists(self._path(path).rstrip("/"))

    def metadata(self, path: str) -> FileMetadata:
        found = super().metadata(self._path(path))
        return FileMetadata(path, found.size_in_bytes, found.last_updated_in_seconds)

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        if not os.path.isdir(self._path(dir_or_prefix)):
            raise BeamIOError(f"{dir_or_prefix} is not a directory")
        for found in super()._list(self._path(dir_or_prefix)):
            yield FileMetadata(f"disk://{found.path}", found.size_in_bytes, found.last_updated_in_seconds)


@pytest.mark.usefixtures("quick_retries")
def test_a_file_system_with_real_folders(folder: pathlib.Path) -> None:
    root = f"disk://{folder}"
    assert uris(f"{root}/a.mp4") == [f"{root}/a.mp4"]
    assert uris(f"{root}/gone.mp4") == [f"{root}/gone.mp4"]
    assert uris(f"{root}/deep") == uris(f"{root}/deep/") == [f"{root}/deep/down/c.webm"]
    assert uris(f"{root}/gone/*.mp4") == []


@pytest.mark.parametrize(
    ("missing", "counts"),
    [("gone.mp4", True), ("gone.MKV", True), ("gone", False), ("gone/", False), ("g.mp4/", False)],
)
def test_only_what_is_named_like_a_video_may_be_missing(folder: pathlib.Path, missing: str, counts: bool) -> None:
    assert matches_anything(missing, str(folder)) == counts
    assert matches_anything(str(folder / "a.mp4"))
