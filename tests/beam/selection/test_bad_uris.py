"""A bad URI becomes one row without retries, with any scheme and without any optional client library."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import subprocess
import sys
import textwrap

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from faulty_proxy import FaultyProxy
from local_pipeline import LocalPipeline, counters, list_videos
from object_stores import S3Server

from reelbeam.transforms import metrics, storage
from reelbeam.transforms.errors import ObjectNotFoundError, StorageError, UnsupportedUriError
from reelbeam.transforms.labeling.config import PlannerConfig
from reelbeam.transforms.media.sampling.clip_sampling import ClipSampling
from reelbeam.transforms.models.registry.catalog import find
from reelbeam.transforms.plan_clips import PlanClips
from reelbeam.transforms.storage.stores import copying
from reelbeam.transforms.storage.stores.beam import file_system
from reelbeam.transforms.storage.stores.clients import lacks_client
from reelbeam.transforms.storage.stores.registry import store_for

PRESET = find("demo").preset
SAMPLING = ClipSampling(PRESET.num_frames, PRESET.target_fps)
BAD = [
    "hdfs://host/a.mp4",
    "azfs://account/container/a.mp4",
    "http://host/a.mp4?sig=SECRET",
    "https://host/a.mp4",
    "ftp://host/a.mp4",
    "nope://host/a.mp4",
    "S3:///a.mp4",
    "s3:///a.mp4",
    "gs:///a.mp4",
    "file://host/a.mp4",
    "file:///a%00.mp4",
]


def test_every_uri_that_nothing_here_can_read_is_one_row(tmp_path: pathlib.Path, samples_dir: pathlib.Path) -> None:
    good = str(samples_dir / "growing.mp4")
    (tmp_path / "list.txt").write_text("\n".join([*BAD, good]))
    with LocalPipeline() as pipeline:
        videos = list_videos(pipeline, [], str(tmp_path / "list.txt"))
        plan = videos | PlanClips(PlannerConfig(sampling=SAMPLING, max_video_bytes=1 << 30))
        failures = plan.failures | beam.Map(lambda failure: (failure.video_uri, failure.code, failure.transient))
        assert_that(failures, equal_to([(uri, "unsupported_uri", False) for uri in BAD]), label="failures")
        assert_that(plan.planned | beam.Map(lambda p: p.video.video_uri), equal_to([good]), label="planned")
    assert counters(pipeline).get(metrics.STORAGE_RETRIES) is None


@pytest.mark.parametrize(
    ("uri", "module", "requirement"),
    [
        ("hdfs://host/a.mp4", "hdfs", "apache-beam[hadoop]"),
        ("azfs://account/container/a.mp4", "azure", "apache-beam[azure]"),
    ],
)
@pytest.mark.parametrize("suffix", ["", "/", "/*.mp4", "[1].mp4"])
def test_a_scheme_without_its_client_says_what_to_install(uri: str, module: str, requirement: str, suffix: str) -> None:
    if importlib.util.find_spec(module):
        pytest.skip(f"{module} is installed")
    scheme = uri.partition(":")[0]
    for call in (storage.stat, file_system, store_for):
        with pytest.raises(UnsupportedUriError) as caught:
            call(uri + suffix)
        assert str(caught.value) == (
            f"no file system for {uri}{suffix}: the client for {scheme}:// is not installed; "
            f"pip install '{requirement}'"
        )


WITHOUT_CLIENTS = """
    import json, sys
    sys.modules |= {"boto3": None, "google.cloud.storage": None}  # as if they were not installed
    from reelbeam.transforms import metrics, storage
    from reelbeam.transforms.errors import StorageError
    from reelbeam.transforms.storage import with_known_size
    from reelbeam.transforms.records import VideoRef

    def code_of(call, *args):
        try:
            call(*args)
        except StorageError as error:
            return [error.code, str(error)]

    calls = (storage.stat, storage.store_for, lambda uri: storage.find_files(uri, "runs/*.json"))
    uris = ("s3://bucket/a.mp4", "gs://bucket/a.mp4")
    found = [code_of(call, uri) for uri in uris for call in calls]
    print(json.dumps(found + [with_known_size(VideoRef(uri)).size_bytes for uri in uris]))
"""


def test_stores_without_their_extras_are_unsupported() -> None:
    command = [sys.executable, "-c", textwrap.dedent(WITHOUT_CLIENTS)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    expected = [
        [
            "unsupported_uri",
            f"no file system for {scheme}://bucket/{name}: the client for {scheme}:// is not installed; "
            f"pip install 'reelbeam[{extra}]'",
        ]
        for scheme, extra in (("s3", "aws"), ("gs", "gcp"))
        for name in ("a.mp4", "a.mp4", "a.mp4/runs/*.json")
    ]
    assert json.loads(printed) == [*expected, None, None]


def test_a_name_that_contains_requirements_is_not_a_missing_client(s3: S3Server, proxy: FaultyProxy) -> None:
    """What is missing is found out by looking for it, not from the words of an error."""
    path = pathlib.Path(__file__)
    proxy.fault = lambda request: "403"
    with pytest.raises(StorageError, match="requirements/clip.mp4: the storage says .*permissions") as caught:
        copying.upload(path, f"{s3.uri}/requirements/clip.mp4")
    assert caught.value.code == "storage_error"
    assert not lacks_client("/data/requirements/clip.mp4") and not lacks_client("s3://requirements/clip.mp4")


@pytest.mark.parametrize("uri", ["file:///tmp/a b.mp4", "file:/tmp/a%20b.mp4", "FILE://localhost/tmp/a%20b.mp4"])
def test_a_local_file_may_be_named_by_any_form_of_its_uri(uri: str) -> None:
    assert storage.normalize(uri) == "/tmp/a b.mp4"


def test_a_file_of_another_host_is_not_looked_for_here(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UnsupportedUriError, match="file://host/a.mp4 is a file on another machine: write file:///PATH"):
        storage.stat("file://host/a.mp4")


def test_a_bucket_is_not_a_video(s3: S3Server, proxy: FaultyProxy) -> None:
    for uri in (s3.uri, f"{s3.uri}/"):
        with pytest.raises(ObjectNotFoundError, match="is a bucket, not a video; name it as an input"):
            storage.stat(uri)
