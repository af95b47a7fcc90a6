"""Stores that do not respond: when they are given up, and when not."""

from __future__ import annotations

import contextlib

import pytest

from reelbeam.transforms.errors import (
    AccessDeniedError,
    CredentialsError,
    MediaError,
    StorageError,
    UnavailableError,
    UnreadableVideoError,
    VideoNotFoundError,
)
from reelbeam.transforms.filmstrips.store_health import MAX_FAILURES, StoreHealth


def ends(health: StoreHealth, uri: str, error: MediaError | None = None, cause: StorageError | None = None) -> None:
    """Reads a video, which ends as given."""
    with contextlib.suppress(MediaError), health.watched(uri):
        if error is not None:
            raise error from cause


def is_tried(health: StoreHealth, uri: str) -> bool:
    try:
        with health.watched(uri):
            return True
    except UnreadableVideoError:
        return False


def after(uri: str, times: int, error: MediaError, cause: StorageError | None) -> StoreHealth:
    health = StoreHealth()
    for number in range(times):
        ends(health, f"{uri}/{number}.mp4", error, cause)
    return health


@pytest.mark.parametrize("cause", [UnavailableError("no response"), CredentialsError("no credentials"), None])
def test_a_store_that_fails_in_a_row_is_given_up(cause: StorageError | None) -> None:
    error = UnreadableVideoError("no response")
    assert is_tried(after("gs://a", MAX_FAILURES - 1, error, cause), "gs://a/x.mp4")
    health = after("gs://a", MAX_FAILURES, error, cause)
    assert not is_tried(health, "gs://a/x.mp4")
    for other in ("gs://ab/x.mp4", "s3://a/x.mp4", "/x.mp4"):
        assert is_tried(health, other), other


def test_a_response_proves_that_a_store_works() -> None:
    for answer in (None, VideoNotFoundError("gone")):
        health = after("https://host", MAX_FAILURES - 1, UnreadableVideoError("timed out"), None)
        ends(health, "https://host/x.mp4", answer)
        ends(health, "https://host/y.mp4", UnreadableVideoError("timed out"))
        assert is_tried(health, "https://host/z.mp4")


def test_a_late_response_does_not_revive_a_store_that_was_given_up() -> None:
    health = StoreHealth()
    with health.watched("gs://a/slow.mp4"):
        for _ in range(MAX_FAILURES):
            ends(health, "gs://a/x.mp4", UnreadableVideoError("no response"))
    assert not is_tried(health, "gs://a/x.mp4")


@pytest.mark.parametrize("uri", ["/videos", "gs://a"])
def test_a_denied_request_is_about_one_video(uri: str) -> None:
    denied = UnreadableVideoError("permission denied")
    assert is_tried(after(uri, 9, denied, AccessDeniedError("permission denied")), f"{uri}/x.mp4")


def test_local_files_are_always_tried() -> None:
    assert is_tried(after("/videos", 9, UnreadableVideoError("permission denied"), None), "/videos/x.mp4")


def test_the_message_has_the_store_and_no_secret() -> None:
    health = after("https://me:SECRET@host", MAX_FAILURES, UnreadableVideoError("https://host/a?sig=SECRET: 503"), None)
    with (
        pytest.raises(UnreadableVideoError, match="3 reads in a row from https://host failed; .*503") as caught,
        health.watched("https://me:SECRET@host/x.mp4?sig=SECRET"),
    ):
        pytest.fail("it was tried")
    assert "SECRET" not in str(caught.value)
