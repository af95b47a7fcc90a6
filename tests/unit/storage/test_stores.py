"""Object stores: one version of an object, whole ranges, retries of transient errors, listings by pages."""

from __future__ import annotations

import errno
import itertools
import types
from collections.abc import Iterable

import pytest
from apache_beam.io.filesystem import BeamIOError
from faulty_proxy import FaultyProxy, Request
from object_stores import BUCKET, S3Server, s3_flags, used_by_beam

from reelbeam.transforms import metrics, storage
from reelbeam.transforms.errors import (
    ConfigError,
    CredentialsError,
    ObjectChangedError,
    ObjectNotFoundError,
    StorageError,
    UnsupportedUriError,
)
from reelbeam.transforms.storage import ObjectInfo, Versioned
from reelbeam.transforms.storage.stores import retries
from reelbeam.transforms.storage.stores.gcs import GcsStore
from reelbeam.transforms.storage.stores.registry import store_for
from reelbeam.transforms.storage.stores.s3 import S3Store

DATA = bytes(range(256)) * 4096


@pytest.fixture(autouse=True)
def _tally() -> None:
    metrics.reset_tally()


def fail(proxy: FaultyProxy, faults: Iterable[str], method: str = "GET") -> None:
    """Has the proxy deal out faults to requests of a method, then none."""
    dealt = itertools.chain(faults, itertools.repeat(""))
    proxy.fault = lambda request: next(dealt) if request.method == method else ""


def num_retries() -> int:
    return metrics.tally()[metrics.STORAGE_RETRIES]


def test_size_and_version(s3: S3Server, proxy: FaultyProxy) -> None:
    uri = s3.put("folder/[odd] name?.mp4", b"12345")
    video = storage.stat(uri)
    assert (video.uri, video.size_bytes) == (uri, 5)
    assert video.version == "etag:827ccb0eea8a706c4c34a16891f84e7b"
    s3.put("folder/[odd] name?.mp4", b"12345")
    assert storage.stat(uri).version == video.version  # the same bytes again
    s3.put("folder/[odd] name?.mp4", b"54321")
    assert storage.stat(uri).version != video.version


def test_the_listing_has_the_same_versions(s3: S3Server, proxy: FaultyProxy) -> None:
    uris = [s3.put(key, key.encode()) for key in ("a/1.mp4", "a/2.mkv", "a/b/3.mp4", "a/ä?.mp4", "c/5.mp4")]
    assert list(storage.matching(f"s3://{BUCKET}/a/**")) == [storage.stat(uri) for uri in uris[:4]]
    assert [v.uri for v in storage.matching(f"s3://{BUCKET}/a/*.mp4")] == [uris[0], uris[3]]
    assert [v.uri for v in storage.matching(f"s3://{BUCKET}/")] == []
    assert [v.uri for v in storage.matching(uris[4])] == [uris[4]]
    assert list(storage.matching(f"s3://{BUCKET}/c/6.mp4")) == []
    assert [v.uri for v in storage.match(f"s3://{BUCKET}/**", limit=2)] == uris[:2]


def test_a_listing_comes_by_pages(s3: S3Server, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")  # the server's pages, in this process
    uris = [s3.put(f"{k:05d}.mp4", b"") for k in range(25)]
    found = storage.matching(f"s3://{BUCKET}/*.mp4")
    names = [next(found).uri]
    assert len(proxy.requests) == 1
    fail(proxy, ["503", "reset"])
    names += [video.uri for video in found]
    assert names == uris
    assert len(proxy.requests) == 3 + 2 and num_retries() == 2


@pytest.mark.parametrize("fault", ["reset", "cut", "short", "500", "503", "429"])
def test_what_may_pass_is_tried_again(s3: S3Server, proxy: FaultyProxy, fault: str) -> None:
    video = storage.stat(s3.put("a.mp4", DATA))
    fail(proxy, [fault, fault])
    assert store_for(video.uri).read(video, 1000, 300_000) == DATA[1000:300_000]
    assert proxy.faults() == [fault, fault]
    assert num_retries() == 2


def test_a_slow_response_is_not_an_error(s3: S3Server, proxy: FaultyProxy) -> None:
    video = storage.stat(s3.put("a.mp4", DATA))
    fail(proxy, ["slow"])
    assert store_for(video.uri).read(video, 0, len(DATA)) == DATA
    assert num_retries() == 0


def test_an_answer_that_never_comes_is_a_time_out(s3: S3Server, proxy: FaultyProxy) -> None:
    video = storage.stat(s3.put("a.mp4", DATA))
    store = store_for(video.uri)
    assert isinstance(store, S3Store)
    config = store._client.meta.config
    assert 0 < config.connect_timeout <= 60 and 0 < config.read_timeout <= 60
    assert config.retries["total_max_attempts"] == 1


@pytest.mark.usefixtures("quick_retries")
def test_what_does_not_pass_is_given_up(s3: S3Server, proxy: FaultyProxy) -> None:
    video = storage.stat(s3.put("a.mp4", DATA))
    proxy.fault = lambda request: "503"
    with pytest.raises(StorageError, match="a.mp4: the storage failed 6 times") as caught:
        store_for(video.uri).read(video, 0, 10)
    assert caught.value.transient
    assert len(proxy.faults()) == 6 and num_retries() == 5


def test_trying_again_ends_in_time(s3: S3Server, proxy: FaultyProxy) -> None:
    proxy.fault = lambda request: "503"
    in_no_time = retries.policy_in_force(retries.RetryPolicy(max_seconds=0))
    with in_no_time, pytest.raises(StorageError, match="failed 1 times"):
        storage.stat(f"s3://{BUCKET}/a.mp4")


def test_pauses_grow(s3: S3Server, proxy: FaultyProxy) -> None:
    slept: list[float] = []
    proxy.fault = lambda request: "503"
    with retries.policy_in_force(retries.RetryPolicy(sleep=slept.append)), pytest.raises(StorageError):
        storage.stat(f"s3://{BUCKET}/a.mp4")
    longest = [0.25 * 3**number for number in range(5)]
    assert len(slept) == 5
    assert all(most / 2 <= pause <= most for pause, most in zip(slept, longest, strict=True))


def test_a_refusal_is_not_tried_again(s3: S3Server, proxy: FaultyProxy) -> None:
    video = storage.stat(s3.put("a.mp4", DATA))
    proxy.fault = lambda request: "403"
    with pytest.raises(StorageError, match="permissions"):
        store_for(video.uri).read(video, 0, 10)
    assert proxy.faults() == ["403"] and num_retries() == 0


def test_what_vanished_is_not_found(s3: S3Server, proxy: FaultyProxy) -> None:
    video = storage.stat(s3.put("a.mp4", DATA))
    s3.client.delete_object(Bucket=BUCKET, Key="a.mp4")
    with pytest.raises(ObjectNotFoundError):
        store_for(video.uri).read(video, 0, 10)
    with pytest.raises(ObjectNotFoundError):
        storage.stat(video.uri)
    with pytest.raises(ObjectNotFoundError):
        storage.stat("s3://no-such-bucket/a.mp4")
    assert num_retries() == 0


@pytest.mark.parametrize("data", [DATA[::-1], DATA[:100]], ids=["other bytes", "shorter"])
def test_what_changed_says_so(s3: S3Server, proxy: FaultyProxy, data: bytes) -> None:
    video = storage.stat(s3.put("a.mp4", DATA))
    s3.put("a.mp4", data)
    with pytest.raises(ObjectChangedError) as caught:
        store_for(video.uri).read(video, 500, 600)
    assert caught.value.transient and num_retries() == 0


def test_a_range_past_the_end_is_reported_without_a_version_too(s3: S3Server, proxy: FaultyProxy) -> None:
    uri = s3.put("a.mp4", DATA[:100])
    with pytest.raises(ObjectChangedError):
        store_for(uri).read(ObjectInfo(uri, 1000), 500, 600)


@pytest.mark.parametrize("uri", ["s3://", "s3:///a.mp4", "s3://buck*/a.mp4"])
def test_no_bucket(uri: str) -> None:
    with pytest.raises(UnsupportedUriError, match="names no bucket"):
        list(storage.matching(uri))


def test_one_client_serves_all(s3: S3Server, proxy: FaultyProxy) -> None:
    uri = s3.put("a.mp4", b"")
    assert store_for(uri) is store_for(f"s3://{BUCKET}/b.mp4")


@pytest.mark.parametrize(
    "place",
    [
        "google.auth.exceptions:RefreshError",
        "google.auth.exceptions:TransportError",
        "google.cloud.storage.exceptions:InvalidResponse",
        "google.cloud.storage.exceptions:DataCorruption",
        "google.resumable_media:InvalidResponse",
        "google.resumable_media:DataCorruption",
        "urllib3.exceptions:ProtocolError",
    ],
)
def test_what_google_clients_raise_is_a_storage_error(place: str) -> None:
    module, name = place.split(":")
    kind = getattr(pytest.importorskip(module, reason="pip install 'reelbeam[gcp]'"), name)
    raised = kind(None, "no token") if "google.cloud" in module or "resumable" in module else kind("no token")
    raises = pytest.raises(StorageError, match="gs://b/a.mp4: the storage says .*no token")
    with raises as caught, storage.storage_errors("gs://b/a.mp4"):
        raise raised
    assert caught.value.transient == (name != "RefreshError"), "credentials that are rejected stay so"


class Blob:
    """An object of Google Cloud Storage in a listing."""

    size, generation, updated = 5, 7, None

    def __init__(self, name: str) -> None:
        self.name = name


class GcsClient:
    """Lists two pages, as a bucket does."""

    def list_blobs(self, bucket: str, prefix: str, page_token: str | None, **_: object) -> object:
        names = ["x/", "x/b.mp4", "x/sub/"] if page_token else ["x/a.mp4"]
        pages = iter([[Blob(name) for name in names if name.startswith(prefix)]])
        return types.SimpleNamespace(pages=pages, next_page_token=None if page_token else "2")


def test_folder_markers_are_left_out_on_gcs_too() -> None:
    pytest.importorskip("google.cloud.storage", reason="pip install 'reelbeam[gcp]'")
    expected = [ObjectInfo(f"gs://b/x/{name}.mp4", 5, "generation:7") for name in "ab"]
    for pattern in ("gs://b/x/**", "gs://b/x/*", "gs://b/**"):
        assert list(GcsStore(GcsClient()).matching(pattern)) == expected


class RenewedBlob:
    """A lock's file that its holder writes again between `get_blob` and the download, a number of times.

    It is its own client and bucket, too.
    """

    def __init__(self, failures: list[Exception]) -> None:
        self.failures = failures
        self.generation = 0

    def bucket(self, name: str) -> RenewedBlob:
        return self

    def get_blob(self, name: str, **_: object) -> RenewedBlob:
        self.generation += 1
        return self

    def download_as_bytes(self, if_generation_match: int, **_: object) -> bytes:
        assert if_generation_match == self.generation
        if self.failures:
            raise self.failures.pop(0)
        return b"held"


def test_a_lock_on_gcs_that_is_renewed_while_it_is_read_is_read_again() -> None:
    exceptions = pytest.importorskip("google.api_core.exceptions", reason="pip install 'reelbeam[gcp]'")
    renewed = [exceptions.PreconditionFailed("renewed"), exceptions.NotFound("renewed")]
    uri = "gs://b/lock.json"
    assert GcsStore(RenewedBlob(list(renewed))).read_versioned(uri) == Versioned(b"held", "generation:3")
    blob = RenewedBlob(renewed * 10)
    with pytest.raises(ObjectChangedError):
        GcsStore(blob).read_versioned(uri)
    assert len(blob.failures) == 20 - 5


def test_requests_are_ranges(s3: S3Server, proxy: FaultyProxy) -> None:
    video = storage.stat(s3.put("a.mp4", DATA))
    store_for(video.uri).read(video, 10, 20)
    assert proxy.requests[-1] == Request("GET", f"/{BUCKET}/a.mp4", "bytes=10-19", 10)


@pytest.mark.parametrize(
    ("raised", "final"),
    [
        (PermissionError(errno.EACCES, "no"), True),
        (OSError(errno.EROFS, "read-only"), True),
        (NotADirectoryError(errno.ENOTDIR, "a file"), True),
        (FileNotFoundError("nothing there"), True),
        (OSError(errno.EIO, "a bad moment"), False),
        (OSError(errno.ENOSPC, "full"), False),
        (TimeoutError("too late"), False),
        (ConnectionResetError("cut"), False),
        (BeamIOError("who knows"), False),
    ],
    ids=repr,
)
def test_permanent_errors_are_distinguished_from_transient_ones(raised: Exception, final: bool) -> None:
    with pytest.raises(StorageError) as caught, storage.storage_errors("/out"):
        raise raised
    assert caught.value.transient == (not final)


@pytest.mark.parametrize(("status", "final"), [("403", True), ("404", True), ("429", False), ("503", False)])
@pytest.mark.usefixtures("quick_retries")
def test_a_refusal_of_a_store_is_distinguished_from_a_transient_error(
    s3: S3Server, proxy: FaultyProxy, status: str, final: bool
) -> None:
    proxy.fault = lambda request: status
    with pytest.raises(StorageError) as caught:
        store_for(f"s3://{BUCKET}/a").stat(f"s3://{BUCKET}/a")
    assert caught.value.transient == (not final)


@pytest.mark.parametrize("how", ["no credentials", "refused ones", "a profile that is nowhere"])
def test_a_missing_access_has_a_remedy(
    s3: S3Server, proxy: FaultyProxy, without_aws_keys: pytest.MonkeyPatch, how: str
) -> None:
    uri = f"s3://{BUCKET}/a"
    proxy.fault = lambda request: "403"
    flags = s3_flags(proxy.url)
    if how != "refused ones":
        flags = [flag for flag in flags if "key" not in flag]
    if how == "a profile that is nowhere":
        without_aws_keys.setenv("AWS_PROFILE", "nowhere")
    raises = pytest.raises(StorageError, match="credentials come from AWS_PROFILE, from AWS_ACCESS_KEY_ID")
    with used_by_beam(flags), raises as caught:
        store_for(uri).stat(uri)
    assert isinstance(caught.value, CredentialsError) and num_retries() == 0


@pytest.mark.parametrize("status", ["401", "403"])
def test_a_refusal_of_google_cloud_storage_has_a_remedy(proxy: FaultyProxy, status: str) -> None:
    pytest.importorskip("google.cloud.storage", reason="pip install 'reelbeam[gcp]'")
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    proxy.fault = lambda request: status
    client = Client("p", AnonymousCredentials(), client_options={"api_endpoint": proxy.url})
    with pytest.raises(StorageError, match="gs://b/a.mp4: .* `gcloud auth application-default login`") as caught:
        GcsStore(client).stat("gs://b/a.mp4")
    assert isinstance(caught.value, CredentialsError) and num_retries() == 0


def test_credentials_of_yesterday_are_refused_though_the_status_is_another() -> None:
    exceptions = pytest.importorskip("botocore.exceptions", reason="pip install 'reelbeam[aws]'")
    reply = {"Error": {"Code": "ExpiredToken"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    with pytest.raises(StorageError, match="AWS_PROFILE"), storage.storage_errors("s3://b/a"):
        raise exceptions.ClientError(reply, "ListObjectsV2")


def test_an_endpoint_that_is_not_an_address_is_a_wrong_flag() -> None:
    pytest.importorskip("boto3", reason="pip install 'reelbeam[aws]'")
    with used_by_beam(["--s3_endpoint_url=nowhere"]), pytest.raises(ConfigError, match="nowhere; check --s3_endpoint"):
        storage.stat("s3://b/a.mp4")


@pytest.mark.usefixtures("quick_retries")
def test_an_endpoint_without_a_listener_is_named() -> None:
    pytest.importorskip("boto3", reason="pip install 'reelbeam[aws]'")
    raises = pytest.raises(StorageError, match=r"check --s3_endpoint_url and the network\); run again later")
    with used_by_beam(s3_flags("http://127.0.0.1:9")), raises as caught:
        storage.stat("s3://b/a.mp4")
    assert caught.value.transient


@pytest.mark.parametrize(("status", "final"), [(403, True), (429, False), (503, False)])
def test_so_is_one_of_google_cloud_storage(status: int, final: bool) -> None:
    exceptions = pytest.importorskip("google.api_core.exceptions", reason="reelbeam[gcp] is not installed")
    with pytest.raises(StorageError) as caught, storage.storage_errors("gs://bucket/out"):
        raise exceptions.from_http_status(status, "an answer")
    assert caught.value.transient == (not final)
