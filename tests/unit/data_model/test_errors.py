"""The error tree: its drawing, its codes, and URLs without their secrets."""

from __future__ import annotations

import re

import pytest

from reelbeam.transforms import errors, redaction


def test_the_drawn_tree_is_the_tree() -> None:
    drawn = re.findall(r"── (\w+)\s+(?:(\w+)(?:\s+(transient))?)?", errors.__doc__ or "")
    by_name = {cls.__name__: cls for cls in errors.error_classes()}
    assert {name for name, *_ in drawn} == set(by_name)
    for name, code, transient in drawn:
        if code:
            assert by_name[name].code == code
            assert by_name[name].transient == bool(transient), name


def test_codes_are_unique_but_for_storage_errors() -> None:
    codes = [cls.code for cls in errors.error_classes() if not issubclass(cls, errors.StorageError)]
    assert len(codes) == len(set(codes))


def test_each_storage_error_has_a_counterpart_for_a_video() -> None:
    storage_codes = {errors.StorageError.code} | {cls.code for cls in errors.error_classes(errors.StorageError)}
    assert storage_codes <= {cls.code for cls in errors.error_classes(errors.MediaError)}


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://h/b/a.mp4?X-Goog-Signature=abc", "https://h/b/a.mp4"),
        ("open https://h/p/a.mp4?sig=1&x=2 failed", "open https://h/p/a.mp4 failed"),
        ("two: http://a/b?x=1 https://c/d#y=2", "two: http://a/b https://c/d"),
        ("'https://h/a?token=x'", "'https://h/a'"),
        ("https://user:password@h/a.mp4", "https://h/a.mp4"),
        ("https://h/a b's.mp4?sig=SECRET", "https://h/a b's.mp4"),
        ("HTTPS://h/a#x?sig=SECRET", "HTTPS://h/a"),
        ("gs://bucket/vid?1.mp4", "gs://bucket/vid?1.mp4"),
        ("/local/what?.mp4", "/local/what?.mp4"),
        ("is it true? yes", "is it true? yes"),
        ("https://h/a.mp4?sig=1 does not exist; check it", "https://h/a.mp4 does not exist; check it"),
        ("https://h/a.mp4 is gone (was it moved? see #3)", "https://h/a.mp4 is gone (was it moved? see #3)"),
        (
            "the store (https://h/a.mp4?sig=1) says [see https://h/b?x=2], no.",
            "the store (https://h/a.mp4) says [see https://h/b], no.",
        ),
    ],
)
def test_secrets_are_removed_from_web_addresses_alone(text: str, clean: str) -> None:
    assert redaction.without_query(text) == clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("s3://KEY:SECRET@b/x.mp4", "s3://b/x.mp4"),
        ("s3://KEY:SE/CR+ET=@b/me@home.mp4", "s3://b/me@home.mp4"),
        ("cannot read S3A://K:S@b/x: denied; ftp://u:p@h/x too", "cannot read S3A://b/x: denied; ftp://h/x too"),
        ("hdfs://u:p@h:9000/x@y.mp4", "hdfs://h:9000/x@y.mp4"),
        ("hdfs://h:9000/x@y.mp4", "hdfs://h:9000/x@y.mp4"),
        ("gs://b/a:b@c.mp4", "gs://b/a:b@c.mp4"),
        ("abfs://container@account/x", "abfs://container@account/x"),
        ("file:///a@b/c:d@e.mp4", "file:///a@b/c:d@e.mp4"),
    ],
)
def test_credentials_leave_the_address_of_any_scheme(text: str, clean: str) -> None:
    assert redaction.without_query(text) == clean
