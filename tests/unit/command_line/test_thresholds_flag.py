"""`label --thresholds`: the file becomes part of the configuration, and what does not fit it is warned of."""

from __future__ import annotations

import dataclasses
import json
import logging
import pathlib
import pickle
from typing import Any

import pytest

from reelbeam.pipeline.flags.options import parse_flags, to_config
from reelbeam.pipeline.job.label_thresholds import warn_of_thresholds, with_thresholds
from reelbeam.pipeline.job.labeler import labeler_config
from reelbeam.pipeline.settings.config import LabelingConfig
from reelbeam.transforms.errors import ConfigError
from reelbeam.transforms.models.registry.label_map import LabelMap
from reelbeam.transforms.records import LabelThresholds

LABELS = LabelMap(("archery", "fencing (sport)", "yoga"))


def config_of(*flags: str) -> LabelingConfig:
    args, _ = parse_flags(["a.mp4", "--model=demo", "--output=out", *flags])
    return with_thresholds(to_config(args))


def write(path: pathlib.Path, **values: Any) -> pathlib.Path:
    path.write_text(json.dumps({"format_version": 1, "default": 0.5} | values), "utf-8")
    return path


def test_workers_need_no_file(tmp_path: pathlib.Path) -> None:
    file = write(tmp_path / "t.json", labels={"yoga": 1}, ranking="max")
    config = config_of(f"--thresholds={file}", "--top_k=3", "--min_score=0.1")
    file.unlink()
    kept = pickle.loads(pickle.dumps(labeler_config(config, LABELS))).classifier.kept
    assert (kept.top_k, kept.min_score) == (3, 0.1)
    assert kept.thresholds == LabelThresholds(1, 0.5, {"yoga": 1}, "max")


def test_the_run_records_the_file_and_its_rule(tmp_path: pathlib.Path) -> None:
    file = write(tmp_path / "t.json")
    config = config_of(f"--thresholds={file}")
    found = config.to_json()
    assert (found["thresholds"], found["thresholds_fingerprint"]) == (str(file), LabelThresholds(1, 0.5).fingerprint)
    assert config.row_options.thresholds_fingerprint == found["thresholds_fingerprint"]
    write(file, default=0.6)
    assert not config.row_options.fit(config_of(f"--thresholds={file}").row_options)
    plain = config_of()
    assert plain.to_json()["thresholds_fingerprint"] is plain.to_json()["thresholds"] is None
    assert dataclasses.replace(config, thresholds=None, label_thresholds=None).row_options == plain.row_options


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--thresholds=/nowhere/t.json", "--thresholds /nowhere/t.json cannot be read"),
        ("--thresholds=gs://u:p@bucket/t.json", "given with a user name or a password"),
        ("--thresholds=", "--thresholds"),
    ],
)
def test_wrong_files_are_refused(flag: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_of(flag)


def test_what_does_not_fit_the_model_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    thresholds = LabelThresholds(1, 0.5, {"archry": 0.9, "yoga": 0.1, "Fencing sport": 1}, models=("a2-base",))
    warn_of_thresholds(thresholds, LABELS, "a0-base")
    other, unknown = (record.getMessage() for record in caplog.records)
    assert other.startswith("--thresholds was made for the scores of a2-base, and these are those of a0-base")
    assert unknown == (
        "2 labels of --thresholds are not among the labels of the model: 'archry' (did you mean 'archery'?), "
        "'Fencing sport' (did you mean 'fencing (sport)'?)"
    )
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        warn_of_thresholds(LabelThresholds(1, 0.5, {"yoga": 0}, models=("a0-base",)), LABELS, "a0-base")
    assert not caplog.records
