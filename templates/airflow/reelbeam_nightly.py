"""Two DAGs for Airflow 3.1 or later that label new videos every night: on Dataflow, or on one machine or Flink.

Copy this file into the DAGs folder, keep the DAG that you need, and set these Airflow Variables. The DAG for Dataflow
needs the providers google and apache-beam; without them, delete the DAG and its import.

    reelbeam_inputs     paths or patterns, separated by spaces, e.g. gs://bucket/videos/**.mp4
    reelbeam_output     e.g. gs://bucket/labels
    reelbeam_model      e.g. a0-base; on Dataflow, with the image's model: /opt/reelbeam/model
    reelbeam_command    the program on Airflow's workers, e.g. /opt/reelbeam/bin/reelbeam

    for one machine or Flink
    reelbeam_runner     further flags: empty, or --runner=FlinkRunner --flink_master=HOST:PORT ...

    for Dataflow
    reelbeam_project, reelbeam_region, reelbeam_temp_location
    reelbeam_template   gs://.../reelbeam.json, see templates/dataflow
    reelbeam_image      the image that the template was built from

The task `doctor` checks the machine, and with a runner its workers.

The line that `--summary_json` prints becomes the task's XCom. Each part of a run commits whole or not at all, and a
retry continues. Bad flags (exit code 2) and too many failed videos (3) are not retried. For a Dataflow job, Airflow
knows only that it failed. `verify` checks the last run; if its tables have faults, it exits with 4 and the task fails.
Without `--last` it checks all runs, which is suitable for a less frequent DAG. The page OUTPUT/report.html shows what
was labeled: `--report` writes it at the end of a run, and after a Dataflow job the task `report`.
"""

from __future__ import annotations

import datetime

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, AsyncCallback, Context, DeadlineAlert, DeadlineReference
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

ALERT_EMAIL = "video-team@example.com"

LABEL_COMMAND = """\
set -f  # Reelbeam expands the patterns, not the shell
exec {{ var.value.reelbeam_command }} label {{ var.value.reelbeam_inputs }} \
--output '{{ var.value.reelbeam_output }}' --model '{{ var.value.reelbeam_model }}' \
--report --summary_json {{ var.value.get('reelbeam_runner', '') }}
"""

DOCTOR_COMMAND = """\
exec {{ var.value.reelbeam_command }} doctor --output '{{ var.value.reelbeam_output }}' \
--model '{{ var.value.reelbeam_model }}' {{ var.value.get('reelbeam_runner', '') }}
"""

VERIFY_COMMAND = "exec {{ var.value.reelbeam_command }} verify '{{ var.value.reelbeam_output }}' --last"

REPORT_COMMAND = "exec {{ var.value.reelbeam_command }} report '{{ var.value.reelbeam_output }}'"

NO_RETRY = (2, 3, 4)  # a retry would fail too; see docs/cli.md, "Exit codes"


class ReelbeamOperator(BashOperator):
    """Runs a command of Reelbeam: exit codes that another try would not change fail the task at once."""

    def __init__(self, **kwargs) -> None:
        super().__init__(append_env=True, skip_on_exit_code=NO_RETRY, **kwargs)

    def execute(self, context: Context):
        try:
            return super().execute(context)
        except (
            AirflowSkipException
        ) as skipped:  # BashOperator treats these codes as "skipped", which does not send a notification
            raise AirflowFailException(str(skipped).replace(" Skipping.", "")) from skipped


SCHEDULE = {
    "schedule": "0 2 * * *",
    "start_date": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    "catchup": False,  # a run selects all new videos, including those of missed runs
    "max_active_runs": 1,
    "tags": ["reelbeam"],
    "default_args": {
        "retries": 2,
        "retry_delay": datetime.timedelta(minutes=10),
        "retry_exponential_backoff": True,
        "execution_timeout": datetime.timedelta(hours=12),
        "on_failure_callback": SmtpNotifier(
            to=ALERT_EMAIL,
            subject="Reelbeam: {{ ti.task_id }} failed",
            html_content="{{ dag.dag_id }}, run {{ run_id }}: <a href='{{ ti.log_url }}'>log</a>",
        ),
    },
    "deadline": DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=datetime.timedelta(hours=6),
        callback=AsyncCallback(
            SmtpNotifier,
            kwargs={
                "to": ALERT_EMAIL,
                "subject": "Reelbeam: last night's labels are late",
                "html_content": "The run is not done six hours after it was due.",
            },
        ),
    ),
}


with DAG("reelbeam_nightly", doc_md=__doc__, **SCHEDULE):
    doctor = ReelbeamOperator(task_id="doctor", bash_command=DOCTOR_COMMAND)
    label = ReelbeamOperator(task_id="label", bash_command=LABEL_COMMAND)
    verify = ReelbeamOperator(task_id="verify", bash_command=VERIFY_COMMAND)
    doctor >> label >> verify


from airflow.providers.google.cloud.operators.dataflow import DataflowStartFlexTemplateOperator  # noqa: E402

FLEX_TEMPLATE = {
    "launchParameter": {
        "jobName": "reelbeam-nightly",
        "containerSpecGcsPath": "{{ var.value.reelbeam_template }}",
        "parameters": {
            "inputs": "{{ var.value.reelbeam_inputs }}",
            "output": "{{ var.value.reelbeam_output }}",
            "model": "{{ var.value.reelbeam_model }}",
            "sdk_container_image": "{{ var.value.reelbeam_image }}",
        },
        "environment": {
            "machineType": "n2-standard-8",
            "maxWorkers": 10,
            "tempLocation": "{{ var.value.reelbeam_temp_location }}",
        },
    }
}

with DAG("reelbeam_nightly_dataflow", doc_md=__doc__, **SCHEDULE):
    label_on_dataflow = DataflowStartFlexTemplateOperator(
        task_id="label",
        body=FLEX_TEMPLATE,
        project_id="{{ var.value.reelbeam_project }}",
        location="{{ var.value.reelbeam_region }}",
        append_job_name=True,
        deferrable=True,  # waiting for hours does not occupy a worker slot
    )
    verify_on_worker = ReelbeamOperator(task_id="verify", bash_command=VERIFY_COMMAND)
    report_on_worker = ReelbeamOperator(task_id="report", bash_command=REPORT_COMMAND)
    label_on_dataflow >> verify_on_worker >> report_on_worker
