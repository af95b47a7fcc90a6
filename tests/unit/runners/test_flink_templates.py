"""templates/flink: the manifest is the operator's, and its command line is Reelbeam's."""

from __future__ import annotations

import copy
import pathlib
from typing import Any

import pytest
import yaml

from reelbeam.pipeline.flags import options
from reelbeam.pipeline.runners import flink
from tools import validate_flink_manifest as validate
from tools.flink import artifacts, configuration

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "templates" / "flink"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text("utf-8")))


def test_the_command_line_is_parsed_by_the_projects_own_options() -> None:
    (job,) = documents("label-job.yaml")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["reelbeam", "label"]
    args, beam_flags = options.parse_flags(container["args"])
    config = options.to_config(args)
    assert (config.model.name, config.output, config.num_threads) == ("a0-base", "gs://BUCKET/labels", 2)
    assert [flag.partition("=")[0] for flag in beam_flags] == ["--runner", "--flink_master", "--artifact_endpoint"]


def test_the_cluster_has_the_settings_that_the_launcher_reads() -> None:
    (deployment,) = validate.deployments()
    keys = {key for key in deployment["spec"]["flinkConfiguration"] if key.startswith("reelbeam.")}
    assert flink.__doc__
    assert keys == {word for word in flink.__doc__.split() if word.startswith("reelbeam.")}


def test_a_step_is_tried_again_when_a_lost_worker_is_forgotten(tmp_path: pathlib.Path) -> None:
    (deployment,) = validate.deployments()
    ours: dict[str, Any] = configuration.of_flink(8081, 1, tmp_path)
    for settings in (deployment["spec"]["flinkConfiguration"], ours):
        assert settings["restart-strategy.type"] == "fixed-delay"
        seconds = int(settings["restart-strategy.fixed-delay.delay"].removesuffix(" s"))
        assert int(settings["restart-strategy.fixed-delay.attempts"]) == 5 and seconds * 1000 > flink.KEEP_WORKERS_MS


def test_the_names_in_the_manifests_fit_together() -> None:
    found = {document["kind"]: document for document in documents("cluster.yaml")}
    (job,) = documents("label-job.yaml")
    cluster, service = found["FlinkDeployment"], found["Service"]["metadata"]["name"]
    (server,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    (launcher,) = job["spec"]["template"]["spec"]["containers"]
    rest = f"{cluster['metadata']['name']}-rest:8081"
    assert f"--flink-master={rest}" in server["args"] and f"--flink_master={rest}" in launcher["args"]
    assert cluster["spec"]["flinkConfiguration"]["reelbeam.job-endpoint"] == f"{service}:8099"
    pods = [cluster["spec"][role]["podTemplate"]["spec"] for role in ("jobManager", "taskManager")]
    pods.append(found["Deployment"]["spec"]["template"]["spec"])
    for pod in pods:
        (claim,) = [volume["persistentVolumeClaim"] for volume in pod["volumes"] if volume["name"] == "artifacts"]
        assert claim == {"claimName": found["PersistentVolumeClaim"]["metadata"]["name"]}
    # A session cluster of mode "native" has no TaskManager before a job asks, and the launcher refuses it.
    assert (cluster["spec"]["mode"], cluster["spec"]["taskManager"]["replicas"]) == ("standalone", 2)
    minor = cluster["spec"]["flinkVersion"].removeprefix("v").replace("_", ".")
    assert cluster["spec"]["image"].startswith(f"flink:{minor}") and f"flink{minor}_" in server["image"]


def test_only_the_clusters_own_pods_and_the_operator_reach_it() -> None:
    (policy,) = documents("network-policy.yaml")
    found = {document["kind"]: document["spec"] for document in documents("cluster.yaml")}
    (job,) = documents("label-job.yaml")
    pods = [found["FlinkDeployment"][role]["podTemplate"] for role in ("jobManager", "taskManager")]
    pods += [found["Deployment"]["template"], job["spec"]["template"]]
    own = policy["spec"]["podSelector"]
    assert (policy["kind"], policy["spec"]["policyTypes"]) == ("NetworkPolicy", ["Ingress"])
    for pod in pods:
        assert own["matchLabels"].items() <= pod["metadata"]["labels"].items()
    members, operator = policy["spec"]["ingress"]
    assert members == {"from": [{"podSelector": own}]}
    assert operator["ports"] == [{"protocol": "TCP", "port": 8081}]
    assert operator["from"][0]["podSelector"] == {
        "matchLabels": {"app.kubernetes.io/name": "flink-kubernetes-operator"}
    }
    assert found["Deployment"]["selector"]["matchLabels"].items() <= pods[2]["metadata"]["labels"].items()


@pytest.mark.slow
def test_the_manifest_fits_the_schema_that_the_operator_publishes() -> None:
    try:
        schema = validate.operator_schema()
    except artifacts.MissingError as error:
        pytest.skip(str(error))
    (deployment,) = validate.deployments()
    assert list(validate.mistakes(deployment, schema)) == []
    changes: list[dict[str, object]] = [
        {"flinkVersion": "v1_99"},
        {"jobManger": {}},
        {"taskManager": {"replicas": "two"}},
    ]
    for change in changes:
        wrong = copy.deepcopy(deployment)
        wrong["spec"].update(change)
        assert list(validate.mistakes(wrong, schema)), change
