"""Label each video as soon as it is uploaded: notifications in, JSON lines out.

    python examples/streaming.py                                          # the bundled samples, one per second
    python examples/streaming.py --subscription projects/P/subscriptions/S --model a0-base --topic projects/P/topics/T

A bucket of Google Cloud Storage sends a notification for each new object to Pub/Sub (`gcloud storage buckets
notifications create`). Each is labeled on the worker that gets it, and its row leaves at once. Pub/Sub may deliver a
notification twice: a reader removes duplicates by `video_uri` and `content_version`. Flags of Beam may follow.
"""

from __future__ import annotations

import argparse
import json
import logging
import pathlib
import time
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.transforms.periodicsequence import PeriodicImpulse

import reelbeam

SAMPLES = pathlib.Path(reelbeam.__file__).resolve().parent / "pipeline" / "demo" / "videos"


def video_of(attributes: dict[str, str]) -> Iterator[dict[str, str]]:
    """Yields the video of a notification; its generation becomes metadata."""
    if attributes.get("eventType") == "OBJECT_FINALIZE":
        yield {
            "video_uri": f"gs://{attributes['bucketId']}/{attributes['objectId']}",
            "generation": attributes["objectGeneration"],
        }


def notifications(pipeline: beam.Pipeline, subscription: str) -> beam.PCollection[dict[str, str]]:
    """Returns the videos of a subscription of Pub/Sub."""
    messages = pipeline | beam.io.ReadFromPubSub(subscription=subscription, with_attributes=True)
    return messages | "Videos" >> beam.FlatMap(lambda message: video_of(message.attributes))


def uploads_at_home(pipeline: beam.Pipeline, videos: list[str]) -> beam.PCollection[dict[str, str]]:
    """Returns videos, one per second."""
    start = time.time()
    ticks = pipeline | PeriodicImpulse(start, start + len(videos) - 0.5, fire_interval=1)
    return ticks | "Videos" >> beam.Map(lambda tick: {"video_uri": videos[round(float(tick) - start)]})


def to_json(row: reelbeam.VideoRow) -> bytes:
    """Returns the message for a labeled video."""
    return json.dumps(reelbeam.as_dict(row)).encode()


def run(subscription: str, topic: str, model: str, videos: list[str], flags: Iterable[str]) -> None:
    """Labels until the source ends; that of Pub/Sub does not end."""
    options = PipelineOptions(list(flags))
    options.view_as(StandardOptions).streaming = True
    with beam.Pipeline(options=options) as pipeline:
        uploads = notifications(pipeline, subscription) if subscription else uploads_at_home(pipeline, videos)
        labeled = uploads | reelbeam.LabelVideos(model, max_duration_seconds=600)
        messages = labeled.videos | "ToJson" >> beam.Map(to_json).with_output_types(bytes)
        if topic:
            messages | beam.io.WriteToPubSub(topic)
        else:
            messages | "Print" >> beam.Map(lambda message: print(message.decode(), flush=True))


def main() -> None:
    """Runs the pipeline with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subscription", default="", help="of Pub/Sub; by default, uploads are simulated")
    parser.add_argument("--topic", default="", help="of Pub/Sub; by default, rows are printed")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--videos", nargs="+", default=sorted(map(str, SAMPLES.glob("*.mp4"))))
    known, flags = parser.parse_known_args()
    run(known.subscription, known.topic, known.model, known.videos, flags)


if __name__ == "__main__":
    logging.getLogger().setLevel(logging.WARNING)
    main()
