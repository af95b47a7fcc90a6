"""The command line of each template is parsed by the program's own options."""

from __future__ import annotations

import ast
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from reelbeam.pipeline import flex_template
from reelbeam.pipeline.commands import output as output_commands
from reelbeam.pipeline.commands.doctor import doctor_parser
from reelbeam.pipeline.commands.report import report_parser
from reelbeam.pipeline.flags import options
from reelbeam.pipeline.flags.label_parser import label_parser
from reelbeam.pipeline.runners.registry import runner_of
from reelbeam.pipeline.settings.config import LabelingConfig

ROOT = pathlib.Path(__file__).resolve().parents[3]
TEMPLATES = ROOT / "templates"


def parsed(argv: list[str]) -> tuple[LabelingConfig, list[str]]:
    """Returns the configuration and Beam's flags for a command line; both parsers have checked it."""
    args, beam_flags = options.parse_flags(argv)
    if args.model == "/opt/reelbeam/model":  # in the image only
        args.model = "demo"
    if not any(flag.startswith("--flink_master") for flag in beam_flags):  # the cluster would be asked, and is not here
        runner_of(beam_flags)
    return options.to_config(args), beam_flags


def verified(argv: list[str], output: str) -> None:
    """Asserts that a command after the run verifies the rows of that run, not the growing history."""
    assert argv[1] == "verify"
    args, beam_flags = options.parse_flags(argv[2:], output_commands.verify_parser())
    assert (args.output, args.last, args.run, args.json, beam_flags) == (output, True, [], False, [])


def dag_constants() -> dict[str, Any]:
    """Returns the literals of the DAG's file: Airflow is not installed here, tools/airflow_check.sh loads it."""
    tree = ast.parse((TEMPLATES / "airflow/reelbeam_nightly.py").read_text("utf-8"))
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id != "SCHEDULE":
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


VARIABLES = {
    "reelbeam_command": "/opt/reelbeam/bin/reelbeam",
    "reelbeam_inputs": "gs://bucket/a/**.mp4 gs://bucket/b/*",
    "reelbeam_output": "gs://bucket/labels",
    "reelbeam_model": "a0-base",
    "reelbeam_template": "gs://bucket/reelbeam.json",
    "reelbeam_image": "reelbeam:1",
    "reelbeam_temp_location": "gs://bucket/tmp",
}


def rendered(text: str, **more: str) -> str:
    """Replaces Airflow's variables in the DAG by values; an undocumented name is a KeyError."""
    values = VARIABLES | {"reelbeam_runner": ""} | more
    text = re.sub(r"\{\{ var\.value\.get\('(\w+)', ''\) \}\}", lambda match: values[match[1]], text)
    return re.sub(r"\{\{ var\.value\.(\w+) \}\}", lambda match: values[match[1]], text)


@pytest.mark.parametrize("runner", ["", "--runner=FlinkRunner --flink_master=localhost:8081 --parallelism=4"])
def test_the_dag_for_one_machine_or_flink(runner: str) -> None:
    *_, command = rendered(dag_constants()["LABEL_COMMAND"], reelbeam_runner=runner).strip().splitlines()
    words = shlex.split(command)
    assert words[:3] == ["exec", "/opt/reelbeam/bin/reelbeam", "label"]
    config, beam_flags = parsed(words[3:])
    assert config.inputs == ("gs://bucket/a/**.mp4", "gs://bucket/b/*")
    assert (config.output, config.model.name) == ("gs://bucket/labels", "a0-base")
    assert beam_flags == runner.split()
    assert {"--report", "--summary_json"} <= set(words)
    shell, *verify = shlex.split(rendered(dag_constants()["VERIFY_COMMAND"]))
    assert (shell, verify[0]) == ("exec", words[1])
    verified(verify, config.output)


def test_the_dag_for_dataflow_writes_the_report_of_the_output() -> None:
    shell, program, command, *words = shlex.split(rendered(dag_constants()["REPORT_COMMAND"]))
    assert (shell, program, command) == ("exec", "/opt/reelbeam/bin/reelbeam", "report")
    args, beam_flags = options.parse_flags(words, report_parser())
    assert (args.output, beam_flags) == ("gs://bucket/labels", [])


def test_the_shell_leaves_the_dags_patterns_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.mp4").touch()
    values = {"reelbeam_command": "echo", "reelbeam_inputs": "*.mp4 **/x[1].mp4"}
    command = rendered(dag_constants()["LABEL_COMMAND"], **values)
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("label *.mp4 **/x[1].mp4 --output gs://bucket/labels ")


def test_the_dag_for_dataflow_gives_the_template_its_parameters() -> None:
    launch = dag_constants()["FLEX_TEMPLATE"]["launchParameter"]
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", launch["jobName"])
    parameters = {name: rendered(value) for name, value in launch["parameters"].items()}
    check_flex_parameters(parameters)
    assert {name: rendered(str(launch["environment"][name])) for name in launch["environment"]} == {
        "machineType": "n2-standard-8",
        "maxWorkers": "10",
        "tempLocation": "gs://bucket/tmp",
    }


def check_flex_parameters(parameters: dict[str, str]) -> LabelingConfig:
    """Asserts that the template has such parameters and takes such values, as Dataflow would, and parses them."""
    known = {p["name"]: p for p in json.loads((TEMPLATES / "dataflow/metadata.json").read_text())["parameters"]}
    for name, value in parameters.items():
        (pattern,) = known[name]["regexes"]
        assert re.fullmatch(pattern, value), (name, value)
    assert {name for name, p in known.items() if not p["isOptional"]} <= set(parameters)
    dataflow_flags = ["--runner=DataflowRunner", "--template_location=gs://b/o"]
    arguments = [f"--{name}={value}" for name, value in parameters.items()]
    config, beam_flags = parsed(flex_template.to_argv([*arguments, *dataflow_flags]))
    assert set(beam_flags) >= {f"--sdk_container_image={parameters['sdk_container_image']}", *dataflow_flags}
    return config


@pytest.mark.parametrize(
    ("given", "inputs", "input_list"),
    [
        (["gs://b/*.mp4", "gs://b/two words.mp4"], ("gs://b/*.mp4", "gs://b/two words.mp4"), None),
        (['gs://b/élan it\'s "2".mp4'], ('gs://b/élan it\'s "2".mp4',), None),
        (["gs://b/list.csv"], (), "gs://b/list.csv"),
        (["gs://b/LIST.TXT"], (), "gs://b/LIST.TXT"),
    ],
)
def test_the_script_for_dataflow_gives_the_template_its_parameters(
    given: list[str], inputs: tuple[str, ...], input_list: str | None, tmp_path: pathlib.Path
) -> None:
    gcloud = tmp_path / "gcloud"  # what the script calls prints how it was called
    gcloud.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    gcloud.chmod(0o755)
    setting = {
        "PROJECT": "p",
        "REGION": "r",
        "IMAGE": "i:1",
        "TEMPLATE": "gs://b/t.json",
        "TEMP_LOCATION": "gs://b/tmp",
    }
    done = run_script("run", "gs://b/labels", *given, PATH=f"{tmp_path}:{os.environ['PATH']}", **setting)
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("--parameters="))
    separator, pairs = line.removeprefix("--parameters=")[:3], line.removeprefix("--parameters=")[3:]
    assert separator == "^|^"
    config = check_flex_parameters(dict(pair.split("=", 1) for pair in pairs.split("|")))
    assert (config.inputs, config.input_list, config.output) == (inputs, input_list, "gs://b/labels")


def run_script(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    script = TEMPLATES / "dataflow/build_and_run.sh"
    setting = {"PATH": os.environ["PATH"]} | environment
    return subprocess.run([script, *arguments], env=setting, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["build"], {}, "set PROJECT"),
        (["build"], {"PROJECT": "p", "IMAGE": "i", "TEMPLATE": "t"}, "set TEMPLATE_LAUNCHER_IMAGE"),
        (["run", "gs://o", "gs://i"], {"PROJECT": "p"}, "set REGION"),
        ([], {}, "build_and_run.sh run OUTPUT INPUT"),
    ],
)
def test_the_script_for_dataflow_says_what_is_not_set(
    arguments: list[str], environment: dict[str, str], message: str
) -> None:
    done = run_script(*arguments, **environment)
    assert done.returncode == 2 and message in done.stderr


def test_the_images_dockerfile_takes_what_is_there_and_what_the_script_gives() -> None:
    text = (TEMPLATES / "dataflow/Dockerfile").read_text("utf-8")
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M):
        for source in sources.split():
            assert (ROOT / source).exists(), source
    stages = set(re.findall(r"^FROM \S+ AS (\w+)", text, re.M))
    assert stages == {"launcher", "tensorflow", "exported", "openvino"}
    script = (TEMPLATES / "dataflow/build_and_run.sh").read_text("utf-8")
    arguments = set(re.findall(r'--build-arg "(\w+)=', script))
    assert arguments <= set(re.findall(r"^ARG (\w+)", text, re.M))
    setup = (ROOT / "setup.py").read_text("utf-8")
    (beam,) = re.findall(r"^ARG BEAM_IMAGE=apache/beam_python3\.11_sdk:(\d+\.\d+)\.\d+$", text, re.M)
    assert f'"apache-beam=={beam}.*"' in setup


@pytest.mark.slow
def test_gcloud_takes_the_metadata(tmp_path: pathlib.Path) -> None:
    gcloud = shutil.which("gcloud")
    if not gcloud:
        pytest.skip("gcloud is not installed")
    command = [gcloud, "dataflow", "flex-template", "build", "gs://bucket/reelbeam.json", "--project=my-project"]
    command += ["--image=reelbeam:1", "--sdk-language=PYTHON", "--print-only", "--format=value(.)"]
    command += [f"--metadata-file={TEMPLATES / 'dataflow/metadata.json'}"]
    environment = os.environ | {"CLOUDSDK_CONFIG": str(tmp_path), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    printed = json.loads(done.stdout)["metadata"]["parameters"]
    assert printed == flex_template.metadata()["parameters"]


def containers() -> dict[str, dict[str, Any]]:
    job = yaml.safe_load((TEMPLATES / "kubernetes/cronjob.yaml").read_text("utf-8"))["spec"]["jobTemplate"]["spec"]
    pod = job["template"]["spec"]
    return {c["name"]: c for c in [*pod["initContainers"], *pod["containers"]]}


def test_the_cron_jobs_commands() -> None:
    label, verify = containers()["label"], containers()["verify"]
    config, beam_flags = parsed([*label["command"], *label["args"]][2:])
    assert label["command"] == ["reelbeam", "label"]
    assert (config.inputs, config.output) == (("/videos",), "/labels")
    cores = label["resources"]["requests"]["cpu"]
    assert beam_flags == [f"--direct_num_workers={cores}"] and config.num_threads == int(cores)
    verified([*verify["command"], *verify["args"]], config.output)
    assert config.wait_for_lock, "the next pod comes before the lock of one that was lost is over"


def test_a_pods_memory_is_what_its_threads_may_take() -> None:
    """As in the table of templates/dataflow/README.md, with every decoder at its limit."""
    label = containers()["label"]
    config, _ = parsed(label["args"])
    assert config.num_threads
    assert worst_bytes(config.num_threads, config) <= num_bytes(label["resources"]["limits"]["memory"])

    (job,) = yaml.safe_load_all((TEMPLATES / "flink/label-job.yaml").read_text("utf-8"))
    config, _ = parsed(job["spec"]["template"]["spec"]["containers"][0]["args"])
    cluster = {x["kind"]: x for x in yaml.safe_load_all((TEMPLATES / "flink/cluster.yaml").read_text("utf-8"))}
    spec = cluster["FlinkDeployment"]["spec"]
    _, pool = spec["taskManager"]["podTemplate"]["spec"]["containers"]
    slots = int(spec["flinkConfiguration"]["taskmanager.numberOfTaskSlots"])
    assert worst_bytes(slots, config) <= num_bytes(pool["resources"]["limits"]["memory"])


def worst_bytes(threads: int, config: LabelingConfig) -> float:
    (worker,) = json.loads((ROOT / "benchmarks/results/worker.json").read_text("utf-8"))
    return (worker["base_mb"] + threads * worker["thread_mb"]) * 1e6 + threads * config.decoder_limits.memory_bytes


def num_bytes(quantity: str) -> int:
    ((number, unit),) = re.findall(r"^(\d+)(\w+)$", quantity)
    return int(number) * {"Gi": 1 << 30, "Mi": 1 << 20}[unit]


def test_the_cron_job_is_alone_and_has_what_it_mounts() -> None:
    cron = yaml.safe_load((TEMPLATES / "kubernetes/cronjob.yaml").read_text("utf-8"))["spec"]
    assert cron["concurrencyPolicy"] == "Forbid"
    volumes = {volume["name"] for volume in cron["jobTemplate"]["spec"]["template"]["spec"]["volumes"]}
    for container in containers().values():
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        assert {"requests", "limits"} <= set(container["resources"])
    rules = [rule["onExitCodes"] for rule in cron["jobTemplate"]["spec"]["podFailurePolicy"]["rules"][:2]]
    assert {rule["containerName"]: rule["values"] for rule in rules} == {"label": [2, 3], "verify": [2, 4]}


def test_the_cron_jobs_pods_have_no_network_peers() -> None:
    policy = yaml.safe_load((TEMPLATES / "kubernetes/network-policy.yaml").read_text("utf-8"))
    job = yaml.safe_load((TEMPLATES / "kubernetes/cronjob.yaml").read_text("utf-8"))["spec"]["jobTemplate"]["spec"]
    assert policy["spec"]["podSelector"] == {"matchLabels": job["template"]["metadata"]["labels"]}
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert policy["spec"]["ingress"] == policy["spec"]["egress"] == []
    config, _ = parsed(containers()["label"]["args"])
    assert all(place.startswith("/") for place in (*config.inputs, config.output)), "nothing is fetched"


def test_the_service_talks_to_this_machine_only() -> None:
    text = (TEMPLATES / "systemd/reelbeam.service").read_text("utf-8")
    settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    assert (settings["IPAddressDeny"], settings["IPAddressAllow"]) == ("any", "localhost")
    assert settings["RestrictAddressFamilies"].split() == ["AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"]
    assert (settings["UMask"], settings["CacheDirectoryMode"]) == ("0027", "0700")
    (model,) = re.findall(r"^ExecStart=.* --model (\S+)", text, re.M)
    assert f"models fetch {model}\n" in text, "the unit itself cannot fetch it"


def test_the_services_commands() -> None:
    text = (TEMPLATES / "systemd/reelbeam.service").read_text("utf-8")
    label, verify = (shlex.split(line) for line in re.findall(r"^ExecStart=(.+)$", text, re.M))
    assert label[:2] == ["/opt/reelbeam/bin/reelbeam", "label"]
    config, beam_flags = parsed(label[2:])
    assert (config.inputs, config.output, beam_flags) == (("/srv/videos",), "/var/lib/reelbeam/labels", [])
    assert verify[0] == label[0]
    verified(verify, config.output)


def test_systemd_takes_the_units(tmp_path: pathlib.Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("systemd-analyze is not installed")
    for path in (TEMPLATES / "systemd").glob("reelbeam.*"):
        text = path.read_text("utf-8").replace("/opt/reelbeam/bin/reelbeam", shutil.which("true") or "")
        (tmp_path / path.name).write_text(text)
    units = ["./reelbeam.timer", "./reelbeam.service"]
    done = subprocess.run([analyze, "verify", *units], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_template_that_labels_ends_with_the_line_of_json() -> None:
    """Dataflow's does not: no process waits for it."""
    for name in ("airflow/reelbeam_nightly.py", "kubernetes/cronjob.yaml", "systemd/reelbeam.service"):
        assert "--summary_json" in (TEMPLATES / name).read_text("utf-8"), name
    assert {"--summary_json", "--no_wait"} <= {x for a in label_parser()._actions for x in a.option_strings}


def test_every_template_whose_launcher_waits_writes_the_report() -> None:
    airflow = dag_constants()["LABEL_COMMAND"].split()
    (unit, _) = re.findall(r"^ExecStart=(.+)$", (TEMPLATES / "systemd/reelbeam.service").read_text("utf-8"), re.M)
    (job,) = yaml.safe_load_all((TEMPLATES / "flink/label-job.yaml").read_text("utf-8"))
    flink = job["spec"]["template"]["spec"]["containers"][0]["args"]
    for words in (airflow, containers()["label"]["args"], unit.split(), flink):
        assert "--report" in words, words


@pytest.mark.parametrize("template", ["airflow", "kubernetes", "systemd", "flink"])
def test_the_templates_check_what_the_run_will_use(template: str) -> None:
    (job,) = yaml.safe_load_all((TEMPLATES / "flink/label-job.yaml").read_text("utf-8"))
    (flink,) = job["spec"]["template"]["spec"]["initContainers"]
    (unit,) = re.findall(r"^ExecStartPre=(.+)$", (TEMPLATES / "systemd/reelbeam.service").read_text("utf-8"), re.M)
    words = {
        "airflow": shlex.split(rendered(dag_constants()["DOCTOR_COMMAND"]))[1:],
        "kubernetes": [*containers()["doctor"]["command"], *containers()["doctor"]["args"]],
        "systemd": shlex.split(unit),
        "flink": [*flink["command"], *flink["args"]],
    }[template]
    assert words[0].endswith("reelbeam") and words[1] == "doctor"
    args, beam_flags = options.parse_flags(words[2:], doctor_parser())
    output = {"kubernetes": "/labels", "systemd": "/var/lib/reelbeam/labels"}.get(template, "gs://bucket/labels")
    assert args.output.lower() == output and args.checks == []
    assert [flag.partition("=")[0] for flag in beam_flags] == {
        "kubernetes": ["--direct_num_workers"],
        "flink": ["--runner", "--flink_master", "--artifact_endpoint"],
    }.get(template, [])
