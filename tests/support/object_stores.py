"""S3's protocol on loopback, and what tests of all stores share."""

from __future__ import annotations

import contextlib
import logging
import os
import urllib.parse
from collections.abc import Iterator
from typing import Any

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from reelbeam.transforms import beam_compat
from reelbeam.transforms.storage import ObjectInfo, store_for

BUCKET = "corpus"
_KEY, _SECRET, _REGION = "test-key", "test-secret", "us-east-1"


class S3Server:
    """A server that speaks S3's protocol: moto's, objects in memory, or the one that REELBEAM_S3_URL names.

    A server that is named must take the keys below, or any; what it has in BUCKET is removed.

    Attributes:
      uri: of the bucket, which is empty.
      url: where it listens.
      port: likewise.
      client: a boto3 client for it.
    """

    uri = f"s3://{BUCKET}"

    def __init__(self) -> None:
        import boto3

        self._moto: Any = None
        self.url = os.environ.get("REELBEAM_S3_URL") or self._start_moto()
        self.port = urllib.parse.urlsplit(self.url).port or 80
        self.client = boto3.session.Session().client(
            "s3",
            endpoint_url=self.url,
            region_name=_REGION,
            aws_access_key_id=_KEY,
            aws_secret_access_key=_SECRET,
        )
        if BUCKET not in [bucket["Name"] for bucket in self.client.list_buckets()["Buckets"]]:
            self.client.create_bucket(Bucket=BUCKET)
        self.clear()

    def _start_moto(self) -> str:
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else a line for each request
        self._moto = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        self._moto.start()
        return f"http://127.0.0.1:{self._moto.get_host_and_port()[1]}"

    def put(self, key: str, data: bytes) -> str:
        """Stores an object; returns its URI."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=data)
        return f"{self.uri}/{key}"

    def get(self, key: str) -> bytes:
        """Returns what an object holds."""
        data: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return data

    def delete(self, key: str) -> None:
        """Removes an object."""
        self.client.delete_object(Bucket=BUCKET, Key=key)

    def objects(self, prefix: str) -> list[ObjectInfo]:
        """Returns the entries of a listing, without times."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        found = [item for page in pages for item in page.get("Contents", ())]
        etags = [item["ETag"].strip('"') for item in found]
        return [
            ObjectInfo(f"{self.uri}/{item['Key']}", item["Size"], f"etag:{etag}")
            for item, etag in zip(found, etags, strict=True)
        ]

    def clear(self) -> None:
        """Removes all objects."""
        for found in self.objects(""):
            self.delete(found.uri.removeprefix(f"{self.uri}/"))

    def close(self) -> None:
        """Ends the server, if it was started here."""
        if self._moto:
            self._moto.stop()


def s3_flags(url: str) -> list[str]:
    """Returns Beam's flags for a server."""
    return [
        f"--s3_endpoint_url={url}",
        f"--s3_region_name={_REGION}",
        f"--s3_access_key_id={_KEY}",
        f"--s3_secret_access_key={_SECRET}",
    ]


@contextlib.contextmanager
def used_by_beam(flags: list[str]) -> Iterator[None]:
    """Lets Beam's file systems, and ours, use what these flags say."""
    earlier = beam_compat.pipeline_options()
    FileSystems.set_options(PipelineOptions(flags))
    try:
        yield
    finally:
        FileSystems.set_options(earlier)


def check_conditions(uri: str, other_version: str) -> None:
    """Asserts what every kind of store must hold to; `other_version` is one that the file never has."""
    store = store_for(uri)
    assert store.read_versioned(uri) is None
    assert not store.write_if(uri, b"0", other_version)
    assert store.write_if(uri, b"1", None)
    assert not store.write_if(uri, b"2", None)
    first = store.read_versioned(uri)
    assert first is not None and first.data == b"1"
    assert store.write_if(uri, b"3", first.version)
    assert not store.write_if(uri, b"4", first.version)
    found = store.read_versioned(uri)
    assert found is not None and found.data == b"3"
