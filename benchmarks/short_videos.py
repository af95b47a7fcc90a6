"""Measure what decoding short videos where they were planned saves on a Flink cluster, with videos in an object store.

    tools/flink_cluster.sh up
    python -m benchmarks.short_videos --flink_master 127.0.0.1:8081 [--json FILE]

The same videos are labeled twice: with all segments shuffled between planning and decoding, and with only those of long
videos shuffled. The store is moto's S3 server on this machine, behind a proxy that counts the bytes that it sends.
Bytes between tasks are Flink's numBytesOut, summed over the steps of the job. The corpus has short videos in MP4, whose
plan fetches a part of the file, and in Matroska, whose plan fetches all of it, and one film.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import tempfile

from benchmarks.films import make_film
from reelbeam.pipeline.flags import options
from reelbeam.pipeline.job.graph import build_graph
from reelbeam.pipeline.job.jobs import make_program, run_job
from reelbeam.pipeline.job.preparation import check_request, prepare, run_facts
from reelbeam.pipeline.runners.flink_cluster import Cluster
from reelbeam.pipeline.runners.registry import runner_of
from reelbeam.pipeline.runners.stores import reach_stores
from reelbeam.transforms.output.run_files import RunPaths
from reelbeam.transforms.output.runs import read_run

_SUPPORT = pathlib.Path(__file__).resolve().parents[1] / "tests" / "support"
_SHORT_SECONDS = 20
_FILM_MINUTES = 6


def main() -> None:
    """Measures both ways and prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flink_master", required=True)
    parser.add_argument("--videos", type=int, default=24, help="number of short videos; default 24")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    sys.path[:0] = [str(_SUPPORT)]
    with tempfile.TemporaryDirectory(prefix="reelbeam-short-") as scratch:
        found = measure(args.flink_master, make_corpus(pathlib.Path(scratch), args.videos), pathlib.Path(scratch))
    text = json.dumps(found, indent=2) + "\n"
    print(text, end="")
    if args.json:
        args.json.write_text(text, "utf-8")


def make_corpus(folder: pathlib.Path, num_short: int) -> dict[str, bytes]:
    """Returns the content of the short videos and the film, by name."""
    import data_generation as generate

    fps, draw = 10, generate.draw_moving
    short = [
        generate.make_video(
            folder / name, _SHORT_SECONDS * fps, fps, 320, 240, gop=30, draw=draw, options={"crf": "4"}
        ).read_bytes()
        for name in ("short.mp4", "short.mkv")
    ]
    names = [f"{number:03d}.{('mp4', 'mkv')[number % 2]}" for number in range(num_short)]
    corpus = {name: short[number % 2] for number, name in enumerate(names)}
    film = make_film(folder / "film.mp4", _FILM_MINUTES, 320, 240)
    return corpus | {"film.mp4": film.read_bytes()}


def measure(master: str, corpus: dict[str, bytes], scratch: pathlib.Path) -> dict[str, object]:
    """Labels the corpus in both ways, and returns what each has moved."""
    from faulty_proxy import FaultyProxy
    from object_stores import S3Server, s3_flags

    server = S3Server()
    for name, data in corpus.items():
        server.put(name, data)
    ways = {}
    for way, in_place in (("all segments shuffled", False), ("short videos in place", True)):
        proxy = FaultyProxy(server.port)
        output = scratch / f"out_{in_place}"
        flags = ["--runner=FlinkRunner", f"--flink_master={master}", *s3_flags(proxy.url)]
        num_clips, counted = label(server.uri, output, scratch / f"spool_{in_place}", in_place, flags)
        fetched = sum(map(proxy.bytes_of, corpus))
        assert counted == fetched, (counted, fetched)
        proxy.close()
        ways[way] = {"clips": num_clips, "bytes_fetched": fetched, "bytes_between_tasks": _bytes_of_newest_job(master)}
    server.close()
    num_bytes = sum(map(len, corpus.values()))
    overview = Cluster(master).overview()
    return {
        "videos": len(corpus),
        "bytes_of_videos": num_bytes,
        "workers": overview.num_slots,
        "flink": overview.flink_version,
        "ways": ways,
    }


def label(
    folder: str, output: pathlib.Path, spool: pathlib.Path, in_place: bool, beam_flags: list[str]
) -> tuple[int, int]:
    """Labels the videos of a folder on the cluster; returns the number of clips, and the fetched bytes of its JSON."""
    flags = ["--model=demo", folder, f"--output={output}", "--num_threads=1", f"--spool_dir={spool}", *beam_flags]
    args, beam_flags = options.parse_flags(flags)
    reach_stores(beam_flags)
    prepared = prepare(check_request(options.to_config(args), runner_of(beam_flags)))
    program = make_program(prepared.runner)
    facts = run_facts(prepared.config, prepared.run)
    build_graph(program, prepared.config, labels=prepared.labels, run=prepared.run, run_facts=facts, in_place=in_place)
    end = run_job(program, prepared.runner)
    if end.error is not None:
        raise end.error
    document = read_run(RunPaths(str(output), prepared.run.run_id))
    assert document is not None and document.cost is not None
    return document.counts.clips, document.cost.bytes_fetched


def _bytes_of_newest_job(master: str) -> int:
    cluster = Cluster(master)
    newest = max(cluster.call("/jobs/overview")["jobs"], key=lambda job: job["start-time"])
    return sum(step["metrics"]["write-bytes"] for step in cluster.call(f"/jobs/{newest['jid']}")["vertices"])


if __name__ == "__main__":
    main()
