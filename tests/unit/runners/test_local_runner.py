"""The local runner must not lose what its workers make."""

from __future__ import annotations

import apache_beam as beam
import pytest
from apache_beam.runners.worker import data_plane
from apache_beam.testing.util import assert_that, equal_to
from local_pipeline import LocalPipeline


def test_no_buffer_is_emptied_by_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_the_clock(*_: object, **__: object) -> None:
        raise AssertionError("a thread of its own empties this buffer, and loses what is written meanwhile")

    monkeypatch.setattr(data_plane.TimeBasedBufferingClosableOutputStream, "__init__", by_the_clock)
    with LocalPipeline() as pipeline:
        numbers = pipeline | beam.Create([1000], reshuffle=False) | beam.FlatMap(lambda n: range(n))
        total = numbers | beam.Map(lambda n: (n % 3, n)) | beam.CombinePerKey(sum)
        assert_that(total, equal_to([(k, sum(range(k, 1000, 3))) for k in range(3)]))
