"""Reading and compacting an output on an S3 server: moto's, over HTTP on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import output_factory as factory
import pytest
from apache_beam.io.filesystems import FileSystems
from object_stores import BUCKET, S3Server, s3_flags, used_by_beam
from output_factory import Video

from reelbeam.pipeline.cli import main
from reelbeam.transforms import storage


@pytest.fixture
def flags(s3: S3Server) -> Iterator[list[str]]:
    flags = s3_flags(s3.url)
    with used_by_beam(flags):
        yield flags


@pytest.mark.slow
def test_every_answer_is_the_same_before_and_after_compaction(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    output = f"s3://{BUCKET}/out"

    def json_of(*argv: str) -> Any:
        assert main([*argv, "--json", *flags]) == 0
        return json.loads(capsys.readouterr().out)

    first = factory.commit_run(output, 1, [Video("a.mp4"), Video("b.mp4", None)])
    second = factory.commit_run(output, 2, [Video("a.mp4", "still", version="mtime:2.0")])
    totals, difference = json_of("status", output)["totals"], json_of("diff", output, first, second)
    assert json_of("verify", output)["faults"] == [] and totals["videos"] == 2
    assert main(["compact", output, *flags]) == 0
    assert "videos 2 -> 1, clips 2 -> 1, errors 2 -> 1" in capsys.readouterr().out
    assert len(storage.find_files(output, "*/*/*.parquet")) == 3 and not storage.find_files(output, ".staging/run=*/**")
    assert json_of("status", output)["totals"] == totals and json_of("diff", output, first, second) == difference
    assert json_of("verify", output)["faults"] == []
    for path in storage.find_files(output, "clips/*/*.parquet"):
        FileSystems.delete([path])
    assert main(["verify", output, *flags]) == 4
    assert "does not exist" in capsys.readouterr().out
