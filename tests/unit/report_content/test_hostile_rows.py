"""Rows that no run writes: a report of them is wrong, but it is made, and texts are as they were."""

from __future__ import annotations

import pathlib
import random
import warnings

import pyarrow.parquet as pq
import pytest
from report_factory import clip, commit_run, content_of, video

from reelbeam.transforms.output.run_files import to_table
from reelbeam.transforms.schemas import Row

INTEGERS = (-(2**63), -(2**31), -1, 0, 1, 2**31 - 1, 2**63 - 1)
FLOATS = (float("nan"), float("inf"), -float("inf"), -1.0, 0.0, 0.5, 1e30, -3e38)
TEXTS = ("", "\x00", "</script><!--", '"onerror=', "\u2028", "\u202egpj.mp4", "x" * 100_000, "../../etc/passwd")


def small(rng: random.Random) -> int:
    return max(-(2**31), min(rng.choice(INTEGERS), 2**31 - 1))


def odd_clip(rng: random.Random, uri: str) -> Row:
    scores = [(rng.choice(TEXTS), rng.choice(FLOATS)) for _ in range(rng.randrange(4))]
    times = {name: rng.choice(INTEGERS) for name in ("start_ms", "end_ms")}
    columns = {"entropy": rng.choice(FLOATS), "log_sum_exp": rng.choice(FLOATS), "num_frames": small(rng)}
    row = clip(uri, small(rng), *scores, **times, **columns)
    return row | {name: rng.choice([row[name], None]) for name in ("top_label", "top_score")}


def odd_video(rng: random.Random, uri: str, clips: list[Row]) -> Row:
    numbers = {name: rng.choice([None, *INTEGERS]) for name in ("duration_ms", "size_bytes")}
    sides = {name: rng.choice([None, small(rng)]) for name in ("width", "height")}
    names = ("status", "top_label", "error_code", "error_message", "codec", "container", "content_version")
    texts = {name: rng.choice(TEXTS) for name in names}
    return video(uri, clips, **numbers, **sides, **texts)


@pytest.mark.parametrize("seed", range(10))
def test_odd_values_do_not_stop_a_report(tmp_path: pathlib.Path, seed: int) -> None:
    rng = random.Random(seed)
    uris = [*TEXTS[1:], *(f"{number}.mp4" for number in range(20))]
    clips = {uri: [odd_clip(rng, uri) for _ in range(rng.randrange(6))] for uri in uris}
    videos = [odd_video(rng, uri, mine) for uri, mine in clips.items()]
    rows = {"videos": videos, "clips": [row for mine in clips.values() for row in mine]}
    run_id = commit_run(tmp_path, 1, [clip("a.mp4", 0)])
    for table, odd in rows.items():
        found = to_table(table, [row | {"run_id": run_id} for row in odd])
        pq.write_table(found, tmp_path / table / f"run={run_id}" / "part-00000.parquet")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        content = content_of(tmp_path, max_clips=1000, videos=tuple(uris))
    assert content.totals.videos == len(uris)
    assert len(content.timelines) == len(uris)
    assert len({each.key.video_uri for each in content.clips()}) > 10
    assert {group.code for group in content.failures} <= set(TEXTS)


def test_very_many_error_codes_are_summed_up(tmp_path: pathlib.Path) -> None:
    run_id = commit_run(tmp_path, 1, [clip("a.mp4", 0)])
    codes = [f"code {number // 2:05d}" for number in range(1000)] + ["frequent"] * 5
    videos = [video(f"{number}.mp4", [], error_code=code, run_id=run_id) for number, code in enumerate(codes)]
    pq.write_table(to_table("videos", videos), tmp_path / "videos" / f"run={run_id}" / "part-00000.parquet")
    content = content_of(tmp_path)
    found = [(group.code, group.videos, len(group.examples)) for group in content.failures]
    assert found == [("frequent", 5, 3), *((f"code {number:05d}", 2, 2) for number in range(19))]
    assert content.num_codes_left_out == 481
